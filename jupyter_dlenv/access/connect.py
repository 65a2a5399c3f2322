"""Everything that a person needs to get into an environment, as one value for all doors."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..models import Environment, Status
from .client import (
    Place,
    SshTarget,
    host_block,
    known_hosts_line,
    laptop_block,
    url_block,
    windows_block,
)
from .ide import IdeLink, ide_links
from .lines import Line, lines_for
from .port_uses import PortUse
from .ports import SSH

_URL_PLACEHOLDER = "https://jupyter.example.org/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigBlock:
    """Settings of an SSH client, and where they belong."""

    place: str
    title: str
    remark: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SshFields:
    """What a program asks for that connects by itself, as PyCharm does."""

    host: str
    port: int
    user: str
    key_file: str
    interpreter: str
    host_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSheet:
    """The ways into one environment.

    Attributes:
        unavailable: Why there is no SSH, if there is none; then there are only ``commands``.
        installed: ssh on this machine finds the alias by ``~/.ssh/config``.
        fields: For programs that connect by themselves; ``port`` is 0 if none is published.
        ports: Host address, host port and port inside of all that is published.
    """

    name: str
    running: bool
    alias: str
    unavailable: str = ""
    installed: bool = False
    fields: SshFields | None = None
    commands: tuple[Line, ...] = ()
    blocks: tuple[ConfigBlock, ...] = ()
    forwards: tuple[Line, ...] = ()
    ides: tuple[IdeLink, ...] = ()
    ports: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the sheet as every door shows it; no private key is in it."""
        return {
            "name": self.name,
            "running": self.running,
            "alias": self.alias,
            "unavailable": self.unavailable,
            "installed": self.installed,
            "fields": asdict(self.fields) if self.fields else None,
            "commands": [asdict(line) for line in self.commands],
            "blocks": [asdict(block) for block in self.blocks],
            "forwards": [asdict(line) for line in self.forwards],
            "ides": [link.to_json() for link in self.ides],
            "ports": list(self.ports),
        }


def connection_sheet(
    environment: Environment,
    target: SshTarget | None,
    *,
    alias: str,
    container: str,
    python: str,
    unavailable: str = "",
    installed: bool = False,
    url: str = "",
    via: str = "",
    path: str = "",
    engine: str = "",
    uses: tuple[PortUse, ...] = (),
) -> ConnectionSheet:
    """Put together what is known of an environment.

    Args:
        environment: Running or not.
        target: ``None`` if there is no SSH, for the reason ``unavailable``.
        alias: What ssh calls the environment.
        container: The name of its container; empty if it is none.
        python: The interpreter inside.
        unavailable: One sentence.
        installed: The alias is known to ssh on this machine.
        url: Of the Jupyter server, if it is known.
        via: ``user@host`` of this machine as others call it, if this machine does not know.
        path: What editors open; by default where kernels start.
        engine: What ``--engine`` has to say; empty for the default one.
        uses: The ports of the environment, for those that listen to be brought here.
    """
    name = environment.name
    option = ["--engine", engine] if engine else []
    shell = Line(
        command=shlex.join(["jupyter", "dlenv", "shell", *option, name]),
        purpose="A shell inside, on the engine's own way.",
    )
    found = ConnectionSheet(
        name=name,
        running=environment.status is Status.RUNNING,
        alias=alias,
        unavailable=unavailable,
        commands=(shell,),
        ports=tuple(_port(p.host_ip, p.host_port, p.container_port) for p in environment.ports),
    )
    if target is None:
        return found
    return replace(
        found,
        installed=installed,
        fields=SshFields(
            host="127.0.0.1",
            port=target.port,
            user=target.user,
            key_file=str(target.directory / "id_ed25519"),
            interpreter=python,
            host_key=known_hosts_line(target),
            fingerprint=_fingerprint(target.host_key),
        ),
        commands=(*_commands(target), shell),
        blocks=tuple(_blocks(target, url or _URL_PLACEHOLDER, via)),
        forwards=lines_for(target.alias, uses),
        ides=ide_links(
            alias=target.alias,
            user=target.user,
            port=target.port,
            path=path or environment.spec.workdir or environment.home,
            container=container,
        ),
    )


def _blocks(target: SshTarget, url: str, via: str) -> Iterator[ConfigBlock]:
    yield ConfigBlock(
        place=Place.HERE.value,
        title="This machine",
        remark="`jupyter dlenv ssh-config install` includes it in ~/.ssh/config.",
        text=host_block(target),
    )
    own_key = (
        "Your own key has to be one of those that are let in: "
        f"`jupyter dlenv connect {target.name} --authorize ~/.ssh/id_ed25519.pub`."
    )
    yield ConfigBlock(
        place=Place.LAPTOP.value,
        title="A laptop that reaches this machine by SSH",
        remark=f"Goes into ~/.ssh/config of the laptop. {own_key}",
        text=laptop_block(target, via=via),
    )
    yield ConfigBlock(
        place=Place.JUPYTER_URL.value,
        title="A laptop that has nothing but the URL of Jupyter",
        remark=f"Goes into ~/.ssh/config of the laptop, which needs jupyter_dlenv too. {own_key}",
        text=url_block(target, url=url),
    )
    yield ConfigBlock(
        place=Place.WINDOWS.value,
        title="Windows",
        remark=f"Goes into %USERPROFILE%\\.ssh\\config; its first lines say where the host key "
        f"goes. {own_key}",
        text=windows_block(target, via=via),
    )


def _commands(target: SshTarget) -> Iterator[Line]:
    alias, name = target.alias, target.name
    yield Line(
        command=f"ssh {alias}", purpose="Log in; once `jupyter dlenv ssh-config install` was run."
    )
    yield Line(
        command=f"jupyter dlenv ssh {name}", purpose="Log in without anything in ~/.ssh/config."
    )
    yield Line(
        command=f"ssh -A {alias}", purpose="Log in and lend it your keys, such as for git push."
    )
    yield Line(command=f"scp FILE {alias}:", purpose="Copy a file into its home directory.")
    yield Line(
        command=f"rsync -a DIRECTORY/ {alias}:DIRECTORY/",
        purpose="Bring a directory there in step with yours.",
    )


def _port(address: str, outside: int, inside: int) -> dict[str, Any]:
    return {
        "host_ip": address,
        "host_port": outside,
        "container_port": inside,
        "service": "SSH" if inside == SSH else "",
    }


def _fingerprint(public_key: str) -> str:
    digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
