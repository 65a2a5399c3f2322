"""A JupyterLab server in a process of its own, and the REST API of our extension on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

ARTIFACTS = Path(__file__).parents[2] / "build-artifacts"
_TOKEN = "browser-tests"
_SERVER_START = 120
_LAUNCH = 120


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    log: Path

    def page_url(self, path: str = "lab") -> str:
        return f"{self.url}{path}?reset&token={_TOKEN}"

    def set_setting(self, plugin: str, values: Any) -> None:
        """Set what a user sets in the settings of JupyterLab."""
        self.request("PUT", f"../../lab/api/settings/{plugin}", {"raw": json.dumps(values)})

    def request(self, method: str, route: str, body: Any = None) -> Any:
        """Ask the REST API of our extension."""
        request = urllib.request.Request(
            urllib.parse.urljoin(f"{self.url}dlenv/api/", route),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {_TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {route}: {error.code} {error.read()!r}") from error
        return json.loads(text) if text else None

    def launch(self, **spec: Any) -> dict[str, Any]:
        """Launch an environment as the form of the front end would, and wait until it is ready."""
        job = self.wait(self.request("POST", "environments", spec)["id"])
        assert job["phase"] == "ready", job
        return job["environment"]

    def wait(self, job_id: str) -> dict[str, Any]:
        """Return a launch when it has ended."""
        deadline = time.monotonic() + _LAUNCH
        while not (job := self.request("GET", f"jobs/{job_id}"))["ended"]:
            assert time.monotonic() < deadline, f"The launch did not end: {job}"
            time.sleep(0.1)
        return job

    def remove_all(self) -> None:
        """Cancel what is launched, and remove what is there, on the configured engine."""
        for job in self.request("GET", "jobs")["jobs"]:
            if not job["ended"]:
                self.request("DELETE", f"jobs/{job['id']}")
                self.wait(job["id"])
        engines = self.request("GET", "engines")
        if engines["in_use"] != engines["default"]:
            self.request("PUT", "engine", {"name": engines["default"]})
        for environment in self.request("GET", "environments")["environments"]:
            self.request("DELETE", f"environments/{environment['name']}")


def screenshot(page: Page, name: str) -> None:
    """Keep what the page shows, for people to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


@contextmanager
def running_lab(
    *,
    engine: str,
    owner: str,
    environ: Mapping[str, str] | None = None,
    with_extension: bool = True,
) -> Iterator[Lab]:
    """Run a server with a home of its own, and remove at the end what was launched.

    Args:
        environ: The variables of the server; by default those of whoever runs the tests.
        with_extension: Without, it is a JupyterLab that has never heard of us.
    """
    with tempfile.TemporaryDirectory(prefix="dl-", dir="/tmp", ignore_cleanup_errors=True) as home:
        directories = _directories(Path(home))
        _write_json(
            directories["JUPYTER_CONFIG_DIR"] / "jupyter_dlenv_config.json",
            {"Configuration": {"engine": engine, "owner": owner}},
        )
        _write_json(
            directories["JUPYTER_CONFIG_DIR"] / "labconfig/page_config.json",
            {
                "disabledExtensions": {
                    # It asks the internet for news, and then covers what a test wants to click.
                    "@jupyterlab/apputils-extension:announcements": True,
                    "jupyter-dlenv": not with_extension,
                }
            },
        )
        _write_json(
            directories["JUPYTER_CONFIG_DIR"] / "jupyter_server_config.json",
            {"ServerApp": {"jpserver_extensions": {"jupyter_dlenv": with_extension}}},
        )
        notebooks = Path(home) / "notebooks"
        notebooks.mkdir()
        log = Path(home) / "server.log"
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
            "--ServerApp.port=0", "--ServerApp.allow_unauthenticated_access=False",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            f"--IdentityProvider.token={_TOKEN}", f"--ServerApp.root_dir={notebooks}",
        ]  # fmt: skip
        with log.open("wb") as output:
            server = subprocess.Popen(
                command,
                env={
                    **_foreign_variables(environ or os.environ),
                    **{k: str(v) for k, v in directories.items()},
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            info = directories["JUPYTER_RUNTIME_DIR"] / f"jpserver-{server.pid}.json"
            lab = Lab(url=_url(server, info, log), log=log)
            try:
                yield lab
            finally:
                if with_extension:
                    lab.remove_all()
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            ARTIFACTS.mkdir(exist_ok=True)
            shutil.copy(log, ARTIFACTS / "browser-server.log")


def _directories(home: Path) -> dict[str, Path]:
    names = ("CONFIG", "DATA", "RUNTIME")
    directories = {f"JUPYTER_{name}_DIR": home / name.lower() for name in names}
    for directory in directories.values():
        directory.mkdir(mode=0o700)
    return {"HOME": home, **directories}


def _foreign_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of whoever runs the tests, but for those that mean their Jupyter."""
    return {k: v for k, v in environ.items() if not k.startswith(("JUPYTER_", "DLENV_"))}


def _url(server: subprocess.Popen[bytes], info: Path, log: Path) -> str:
    """Wait until the server listens; only then it knows its port and writes it down."""
    deadline = time.monotonic() + _SERVER_START
    while server.poll() is None and time.monotonic() < deadline:
        try:
            url: str = json.loads(info.read_text())["url"]
            with urllib.request.urlopen(f"{url}api/status?token={_TOKEN}", timeout=5):
                return url
        except (OSError, ValueError):
            time.sleep(0.1)
    raise AssertionError(f"The server did not start:\n{log.read_text()[-3000:]}")


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
