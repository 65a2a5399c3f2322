"""Runs a real image registry on loopback for the tests: Debian's docker-registry."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker

from . import debian
from .profiles import ROOT


@dataclass(frozen=True)
class Login:
    user: str
    password: str
    htpasswd: str


#: The hash is bcrypt's, the only one that the registry takes, and costs as little as it may.
LOGIN = Login(
    user="tester",
    password="not-a-secret",
    htpasswd="$2b$04$ep9d951IiXVy4CHdYKbaP.28OYtAqWtxdsYZckVz6mCBxAmlIRDc6",
)


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    address: str
    login: Login | None

    def push(self, client: docker.DockerClient, image: str, repository: str) -> str:
        """Push an image that the engine has; return the reference to pull it by."""
        reference = f"{self.address}/{repository}"
        client.images.get(image).tag(reference)
        credentials = {}
        if self.login:
            credentials = {"username": self.login.user, "password": self.login.password}
        try:
            for message in client.images.push(
                reference, stream=True, decode=True, auth_config=credentials
            ):
                if "error" in message:
                    raise RuntimeError(message["error"])
        finally:
            client.images.remove(reference)
        return reference


def get() -> Path:
    """Return the registry program, unpacked from Debian's package at first use."""
    home = ROOT if os.getuid() == 0 else Path.home() / ".cache/dlenv-rig"
    folder = home / "programs/registry"
    if not folder.is_dir():
        scratch = folder.with_suffix(f".{os.getpid()}")
        debian.unpack(("docker-registry",), scratch, suites=("bookworm",))
        with contextlib.suppress(OSError):  # another process was faster
            scratch.rename(folder)
    return folder / "usr/bin/docker-registry"


@contextlib.contextmanager
def serve(program: Path, login: Login | None = None) -> Iterator[Registry]:
    """Run a registry on a free port of loopback for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="dl-registry-") as scratch:
        directory = Path(scratch)
        address = f"127.0.0.1:{_free_port()}"
        (directory / "config.yml").write_text(_settings(directory, address, login))
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(program), "serve", str(directory / "config.yml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _wait_until_it_answers(f"http://{address}/v2/", process, directory / "log")
            yield Registry(address, login)
        finally:
            process.terminate()
            process.wait(10)


def _settings(directory: Path, address: str, login: Login | None) -> str:
    settings = [
        "version: 0.1",
        "log: {level: warn}",
        "storage:",
        f"  filesystem: {{rootdirectory: {directory / 'data'}}}",
        "  delete: {enabled: true}",
        f"http: {{addr: '{address}'}}",
    ]
    if login:
        (directory / "htpasswd").write_text(f"{login.user}:{login.htpasswd}\n")
        settings.append(f"auth: {{htpasswd: {{realm: test, path: {directory / 'htpasswd'}}}}}")
    return "\n".join(settings) + "\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 15
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except urllib.error.HTTPError:
            return  # 401 is an answer
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"The registry does not answer: {log.read_text()[-1000:]}")
