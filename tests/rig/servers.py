"""Starts a Jupyter server with the extension, as a user does: a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 60


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        seconds: From the start of its process to its first answer.
    """

    pid: int
    url: str
    token: str
    seconds: float

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return json.load(answer)

    def libraries(self) -> str:
        """Return all that is loaded into its process."""
        return Path(f"/proc/{self.pid}/maps").read_text()


@contextlib.contextmanager
def serving(directory: Path, environ: Mapping[str, str]) -> Iterator[Server]:
    """Run a server on a free port for the time of the block."""
    runtime = directory / "runtime"
    began = time.monotonic()
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
                *("--ServerApp.port=0", f"--ServerApp.root_dir={directory}"),
                "--ServerApp.jpserver_extensions={'jupyter_dlenv': True}",
                "--Configuration.engine=process",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={**os.environ, **environ, "JUPYTER_RUNTIME_DIR": str(runtime)},
        )
    try:
        yield _when_it_answers(process, runtime, directory, began)
    finally:
        process.terminate()
        process.wait(20)


def _when_it_answers(
    process: subprocess.Popen[bytes], runtime: Path, directory: Path, began: float
) -> Server:
    while time.monotonic() < began + _PATIENCE and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):
                said = json.loads(file.read_text())
                server = Server(process.pid, said["url"], said["token"], 0)
                server.get("api/status")
                return Server(server.pid, server.url, server.token, time.monotonic() - began)
        time.sleep(0.02)
    raise RuntimeError((directory / "server.log").read_text()[-2000:])
