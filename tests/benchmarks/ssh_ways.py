"""Every way by which SSH gets into the environments of one home, and the servers that it takes."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rig import hub as hubs
from rig import jupyter, ssh
from rig.ssh_home import Home

from jupyter_dlenv.access.client import laptop_block, url_block
from jupyter_dlenv.reach import authorize

#: What everything is compared with; it leads to this machine and not into an environment.
HOST = "plain sshd of the host"
PUBLISHED, STREAM, JUMP = "published port", "the engine's stream", "ProxyJump through the host"
PLAIN, BASE, HUB = "a Jupyter URL", "a Jupyter URL with a base", "a JupyterHub's URL"
WAYS = (PUBLISHED, STREAM, JUMP, PLAIN, BASE, HUB)

_BATCH = "Host *\n  BatchMode yes\n"


class Ways:
    """The clients of one home.

    Args:
        urls: Of the servers that carry SSH, by way.
        port: Of the host's own sshd.
    """

    def __init__(self, home: Home, urls: dict[str, str], port: int) -> None:
        self.home = home
        self._urls = urls
        self._laptop = ssh.laptop_settings(home.directory, port, getpass.getuser())

    def let_in(self, name: str) -> None:
        """Let the laptop's key into an environment."""
        key = (self.home.directory / "laptop.pub").read_text().strip()
        self.home.do(lambda environments: authorize(environments, name, (key,)))

    def client(self, way: str, name: str) -> ssh.Client:
        """Return a client that may ask nothing, with the settings that we write for that way."""
        home = self.home
        if way == PUBLISHED:
            return home.client(name, before=_BATCH)
        if way == STREAM:
            return home.client(name, before=_BATCH, through_stream=True)
        if way == JUMP:
            return home.client(name, write=laptop_block, before=self._laptop, via="gpuhost")
        return home.client(name, write=url_block, before=self._laptop, url=self._urls[way])

    def host(self) -> ssh.Client:
        config = self.home.directory / "host-client"
        config.write_text(self._laptop)
        return ssh.Client(config, "gpuhost", self.home.directory)


@contextmanager
def open_ways(engine_url: str, wanted: tuple[str, ...]) -> Iterator[Ways]:
    """Run what these ways need; nothing of it, nor any environment, is left at the end."""
    os.environ["DOCKER_HOST"] = engine_url
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ.pop("SSH_AUTH_SOCK", None)
    with tempfile.TemporaryDirectory(prefix="dl-", dir="/tmp") as scratch, ExitStack() as stack:
        home = Home(f"ways-{uuid.uuid4().hex[:6]}", Path(scratch))
        # Where the tokens are, one for each server.
        os.environ["XDG_CONFIG_HOME"] = str(home.directory / "config")
        key = ssh.make_key(home.directory / "laptop")
        port = stack.enter_context(ssh.plain_sshd(home.directory, key))
        stack.callback(home.remove_all)
        urls = {}
        for way, running in _SERVERS.items():
            if way in wanted:
                url, token = stack.enter_context(running(home, engine_url))
                _store_token(url, token)
                urls[way] = url
        yield Ways(home, urls, port)


def _settings(home: Home, engine_url: str) -> dict[str, str]:
    return {
        "engine": engine_url,
        "owner": home.owner,
        "data_dir": str(home.directory / "data"),
        "runtime_dir": str(home.directory / "run"),
    }


@contextmanager
def _plain(home: Home, engine_url: str) -> Iterator[tuple[str, str]]:
    settings = _settings(home, engine_url)
    with jupyter.running(home.directory / "plain", settings) as server:
        yield server.url, server.token


@contextmanager
def _with_base(home: Home, engine_url: str) -> Iterator[tuple[str, str]]:
    settings = _settings(home, engine_url)
    with jupyter.running(home.directory / "base", settings, base="/at/a%40place/") as server:
        yield server.url, server.token


@contextmanager
def _hub(home: Home, engine_url: str) -> Iterator[tuple[str, str]]:
    if not hubs.proxy():
        raise SystemExit("There is no npm to install JupyterHub's proxy with; see --ways.")
    variables = jupyter.configuration(home.directory / "etc", _settings(home, engine_url))
    environment = {**variables, "PATH": os.environ["PATH"]}
    with hubs.running(home.directory / "hub", environment) as hub:
        hub.start_server()
        yield hub.user_url, hub.user_token()


_Running = Callable[[Home, str], "contextmanager[tuple[str, str]]"]
_SERVERS: dict[str, _Running] = {PLAIN: _plain, BASE: _with_base, HUB: _hub}


def _store_token(url: str, token: str) -> None:
    """Keep it where a user keeps it."""
    command = ["jupyter", "dlenv", "ssh-proxy", url, "any", "--store-token"]
    subprocess.run(command, input=token, text=True, check=True, timeout=ssh.LIMIT)
