"""A real Jupyter server with jupyter_dlenv, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .shell import until
from .ssh import free_port

_LIMIT = 60.0


@dataclass(frozen=True)
class Server:
    """One server; ``url`` is what a user has in the browser."""

    url: str
    token: str


def configuration(directory: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """Write the configuration of a server; return the variables that lead to it.

    Args:
        settings: Of jupyter_dlenv itself.
    """
    directory.mkdir(parents=True, exist_ok=True)
    enabled = {"ServerApp": {"jpserver_extensions": {"jupyter_dlenv": True}}}
    (directory / "jupyter_server_config.json").write_text(json.dumps(enabled))
    own = {"Configuration": dict(settings)}
    (directory / "jupyter_dlenv_config.json").write_text(json.dumps(own))
    return {"JUPYTER_CONFIG_PATH": str(directory)}


@contextlib.contextmanager
def running(
    directory: Path, settings: Mapping[str, object], *, base: str = "/"
) -> Iterator[Server]:
    """Run a server; at the end it is gone.

    Args:
        base: Its base URL, as in a browser.
    """
    variables = configuration(directory / "etc", settings)
    token = os.urandom(16).hex()
    port = free_port()
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"),
                *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
                f"--ServerApp.base_url={base}",
                f"--ServerApp.root_dir={directory}",
            ],
            # Not an argument, which everybody could read.
            env={**os.environ, **variables, "JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}{base}"
    try:
        for _ in until(_LIMIT, (directory / "server.log").read_text()[-2000:]):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}api", timeout=5).close()
                break
        yield Server(url, token)
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
