"""A JupyterHub with its proxy, and one user whose server has jupyter_dlenv."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .profiles import ROOT

USER = "alice"
_LIMIT = 40.0
_CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/hub-prefix/"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.pid_file = "{directory}/proxy.pid"
c.JupyterHub.db_url = "sqlite:///{directory}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{directory}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{directory}/home"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {environment!r}
c.JupyterHub.services = [{{"name": "tests", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{
    "name": "tests", "services": ["tests"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"],
}}]
"""


@dataclass(frozen=True)
class Hub:
    """A hub on loopback, below a prefix."""

    url: str
    #: Of a service that may do everything.
    token: str
    log: Path

    @property
    def user_url(self) -> str:
        return f"{self.url}user/{USER}/"

    def start_server(self) -> None:
        """Start the user's server and wait for it."""
        self.ask("POST", f"hub/api/users/{USER}")
        self.ask("POST", f"hub/api/users/{USER}/server")
        _until(lambda: self._user()["servers"][""]["ready"], self.log)

    def _user(self):
        return json.loads(self.ask("GET", f"hub/api/users/{USER}"))

    def user_token(self) -> str:
        """Return a token as the user gets it from the hub's page."""
        body = {"note": "laptop", "scopes": [f"access:servers!user={USER}"]}
        return json.loads(self.ask("POST", f"hub/api/users/{USER}/tokens", body))["token"]

    def ask(self, method: str, path: str, body: object = None, *, token: str = "") -> bytes:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"Authorization": f"token {token or self.token}"},
        )
        with urllib.request.urlopen(request, timeout=_LIMIT) as answer:
            return answer.read()


def proxy() -> str:
    """Return the path of the hub's proxy, which npm installs at its first use; empty without."""
    path = ROOT / "node/node_modules/.bin/configurable-http-proxy"
    if not path.exists() and shutil.which("npm"):
        path.parents[2].mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit"]
        subprocess.run(
            [*command, "configurable-http-proxy@5"], cwd=path.parents[2], timeout=120, check=False
        )
    return str(path) if path.exists() else ""


@contextlib.contextmanager
def running(directory: Path, environment: Mapping[str, str]) -> Iterator[Hub]:
    """Run a hub; at the end it, its proxy and its servers are gone.

    Args:
        environment: Of the user's server.
    """
    port, hub_port, api_port = _free_ports(3)
    token = os.urandom(16).hex()
    (directory / "home").mkdir(parents=True)
    config = directory / "jupyterhub_config.py"
    config.write_text(
        _CONFIG.format(
            port=port,
            hub_port=hub_port,
            api_port=api_port,
            proxy=proxy(),
            directory=directory,
            python=sys.executable,
            environment=dict(environment),
            token=token,
        )
    )
    log = directory / "hub.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=directory,
        )
    hub = Hub(f"http://127.0.0.1:{port}/hub-prefix/", token, log)
    try:
        _until(lambda: hub.ask("GET", "hub/api/"), log)
        yield hub
    finally:
        # It ends its servers and its proxy.
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]


def _until(condition: Callable[[], object], log: Path) -> None:
    end = time.monotonic() + _LIMIT
    while True:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if condition():
                return
        if time.monotonic() > end:
            raise TimeoutError(log.read_text()[-4000:])
        time.sleep(0.1)
