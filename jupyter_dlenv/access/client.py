"""The settings by which an SSH client reaches an environment, for each place where one may be.

Every block sets the same keywords, so that a block of the same alias elsewhere adds nothing.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shlex
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import InvalidSpecError

#: What decides which engine and which configuration a process sees; an editor that starts
#: ssh may have been started without them.
_PASSED_ON = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
    *("JUPYTER_CONFIG_DIR", "JUPYTER_CONFIG_PATH", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"),
)
_HOST = re.compile(r"[A-Za-z0-9_.@:\[\]-]{1,255}\Z")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/@!$&'()*+,;=%\[\]-]{1,2000}\Z")


class Place(str, Enum):
    """Where the client is that shall reach the environment."""

    HERE = "here"
    LAPTOP = "laptop"
    JUPYTER_URL = "jupyter-url"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """An environment as SSH clients see it.

    Attributes:
        alias: What the user types after ``ssh``.
        user: Whom the server lets in.
        port: On the engine's host; 0 if only a stream leads there.
        host_key: The server's public key.
        directory: The environment's files on this machine.
        stream: The command that connects standard input and output with the server.
    """

    alias: str
    name: str
    user: str
    port: int
    host_key: str
    directory: Path
    stream: tuple[str, ...]


def alias_of(name: str) -> str:
    """Return what a user types after ``ssh`` for an environment."""
    return f"dlenv-{name}"


def stream_command(name: str, *, engine: str, owner: str) -> tuple[str, ...]:
    """Return the command that reaches an environment's server from this machine, by any engine."""
    variables = [f"{key}={os.environ[key]}" for key in _PASSED_ON if key in os.environ]
    return (
        *(["env", *variables] if variables else []),
        *(sys.executable, "-m", "jupyter_dlenv", "--engine", engine),
        *("ssh-stream", "--owner", owner, name),
    )


def host_block(target: SshTarget, *, through_stream: bool = False) -> str:
    """Return the settings for clients on this machine.

    Args:
        through_stream: Do not use the published port.
    """
    if target.port and not through_stream:
        way = [("HostName", "127.0.0.1"), ("Port", str(target.port)), ("ProxyCommand", "none")]
    else:
        way = [
            ("HostName", target.alias),
            ("Port", "22"),
            ("ProxyCommand", _command(target.stream)),
        ]
    return _block(
        target,
        [
            *way,
            *_identified_by_files(target),
            ("GlobalKnownHostsFile", "/dev/null"),
            ("BatchMode", "yes"),
        ],
    )


def laptop_block(target: SshTarget, *, via: str = "") -> str:
    """Return the settings for a laptop that reaches this machine by SSH.

    Args:
        via: ``user@host`` of this machine as the laptop calls it.
    """
    via = _host(via or own_address())
    if target.port:
        way = [("HostName", "127.0.0.1"), ("Port", str(target.port)), ("ProxyJump", via)]
    else:
        # Read by the shell there as well as by the one here.
        command = f"ssh {via} {shlex.quote(shlex.join(target.stream))}"
        way = [("HostName", target.alias), ("Port", "22"), ("ProxyCommand", _percent(command))]
    return _block(target, [*way, *_identified_by_text(target)])


def url_block(target: SshTarget, *, url: str) -> str:
    """Return the settings for a machine that has nothing but the Jupyter server's URL."""
    if not _URL.match(url):
        raise InvalidSpecError(
            f"{url!r} is not the URL of a Jupyter server.", hint="Begin it with https://."
        )
    command = f"jupyter dlenv ssh-proxy {shlex.quote(url)} {target.name}"
    way = [("HostName", target.alias), ("Port", "22"), ("ProxyCommand", _percent(command))]
    return _block(target, [*way, *_identified_by_text(target)])


def windows_block(target: SshTarget, *, via: str = "") -> str:
    """Return the settings for Windows, whose OpenSSH has no programs to echo a key.

    The host key stands in a comment: it belongs into the file that the block names.
    """
    via = _host(via or own_address())
    known = f"~/.ssh/known_hosts.{target.alias}"
    lines = [("HostName", "127.0.0.1"), ("Port", str(target.port or 22)), ("ProxyJump", via)]
    if not target.port:
        command = f'ssh {via} "{shlex.join(target.stream)}"'
        lines = [("HostName", target.alias), ("Port", "22"), ("ProxyCommand", _percent(command))]
    block = _block(
        target,
        [
            *lines,
            ("UserKnownHostsFile", known),
            *_strict(),
            ("IdentityFile", "~/.ssh/id_ed25519"),
        ],
    )
    return f"# First write this line into {known}:\n# {known_hosts_line(target)}\n{block}"


def known_hosts_line(target: SshTarget) -> str:
    """Return the line that pins the host key."""
    return f"{target.alias} {target.host_key}"


def own_address() -> str:
    """Return ``user@host`` of this machine, as far as it knows itself."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"u{os.getuid()}"
    name = socket.getfqdn()
    # Where /etc/hosts says so; nobody else reaches this machine by that name.
    return f"{user}@{socket.gethostname() if name.startswith('localhost') else name}"


def tilde(path: Path) -> str:
    """Return a path with ``~``, where ssh and this process mean the same home by that."""
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return str(path)
    # OpenSSH looks into passwd, whatever HOME says.
    if home != Path.home() or not path.is_relative_to(home) or home == Path("/"):
        return str(path)
    return f"~/{path.relative_to(home)}"


def _identified_by_files(target: SshTarget) -> Iterator[tuple[str, str]]:
    yield "UserKnownHostsFile", _quoted(tilde(target.directory / "known_hosts"))
    yield from _strict()
    yield "IdentityFile", _quoted(tilde(target.directory / "id_ed25519"))
    yield "IdentitiesOnly", "yes"


def _identified_by_text(target: SshTarget) -> Iterator[tuple[str, str]]:
    yield "KnownHostsCommand", f"/bin/echo {known_hosts_line(target)}"
    yield "UserKnownHostsFile", "none"
    yield from _strict()
    yield "IdentityFile", "~/.ssh/id_ed25519"


def _strict() -> Iterator[tuple[str, str]]:
    yield "StrictHostKeyChecking", "yes"
    yield "HostKeyAlgorithms", "ssh-ed25519"
    yield "CheckHostIP", "no"
    yield "UpdateHostKeys", "no"


def _block(target: SshTarget, settings: list[tuple[str, str]]) -> str:
    lines = [
        f"Host {target.alias}",
        *(
            f"    {keyword} {value}"
            for keyword, value in [
                ("User", target.user),
                ("HostKeyAlias", target.alias),
                *settings,
                ("PreferredAuthentications", "publickey"),
                ("ForwardAgent", "no"),
                ("ServerAliveInterval", "30"),
                ("ConnectTimeout", "15"),
                ("LogLevel", "ERROR"),
            ]
        ),
    ]
    return "\n".join(lines) + "\n"


def _command(words: tuple[str, ...]) -> str:
    return _percent(shlex.join(words))


def _percent(text: str) -> str:
    # ssh replaces %h and its like in commands and in the names of files.
    if re.search(r"[\n\r\0]", text):
        raise InvalidSpecError("A variable that engines are found by has a line break.")
    return text.replace("%", "%%")


def _quoted(path: str) -> str:
    return f'"{_percent(path)}"' if re.search(r"[\s#]", path) else _percent(path)


def _host(text: str) -> str:
    if not _HOST.match(text) or text.startswith("-"):
        raise InvalidSpecError(
            f"{text!r} is not a host to jump through.", hint="Write it as user@host or host:port."
        )
    return text
