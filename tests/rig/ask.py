"""Asks Docker engines: which of them answers, which version it is, what is on it.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_URL = "unix:///var/run/docker.sock"


def answering_url() -> str | None:
    """Return the URL of the engine that a user's own ``docker`` would talk to, if it answers."""
    url = os.environ.get("DOCKER_HOST") or _context_url() or DEFAULT_URL
    return url if version(url) else None


def _context_url() -> str | None:
    """Return the endpoint of the current Docker context, such as that of Docker Desktop."""
    if not shutil.which("docker"):
        return None
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    return None


def version(url: str) -> str:
    """Return the version of the engine at a URL, or an empty string if it does not answer."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        with contextlib.suppress(OSError, ValueError, KeyError):
            return str(get(Path(parts.path), "/version")["Version"])
        return ""
    # Certificates and ssh are the business of Docker's own client.
    command = ["docker", "--host", url, "version", "--format", "{{.Server.Version}}"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()
    return ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(path: Path, method: str, target: str) -> bytes:
    connection = _UnixConnection(path)
    try:
        connection.request(method, target)
        return connection.getresponse().read()
    finally:
        connection.close()


def get(path: Path, target: str) -> Any:
    return json.loads(request(path, "GET", target))
