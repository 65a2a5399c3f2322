"""Ready-made lines of ssh for ports, each with a sentence that says what it is for."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from .port_uses import PortUse

_SOCKS = 1080
_EXAMPLE = 8000
#: Ports below it are root's on most laptops.
_FIRST_FREE = 1024
_RAISE = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A command to copy, and what it is for."""

    command: str
    purpose: str

    def to_json(self) -> dict[str, str]:
        return {"command": self.command, "purpose": self.purpose}


def lines_for(host: str, uses: Iterable[PortUse]) -> tuple[Line, ...]:
    """Return what one may want for an environment: ``-L`` for what listens, ``-R``, ``-D``.

    Args:
        host: As ``ssh_config`` knows the environment.
    """
    found = [use for use in uses if use.listening and use.service != "SSH"]
    bring = [bring_here(host, use.port, what=use.service.rstrip("?")) for use in found]
    return (*(bring or [bring_here(host, _EXAMPLE)]), take_there(host, _EXAMPLE), browse(host))


def bring_here(host: str, port: int, *, local: int = 0, what: str = "") -> Line:
    """Return the line that brings a port of the environment to the machine where it is typed."""
    local = local or (port if port >= _FIRST_FREE else port + _RAISE)
    service = what or "What listens there"
    return Line(
        # By name: a service may listen on either of the two loopback addresses.
        command=_ssh("-L", f"{local}:localhost:{port}", host),
        purpose=(
            f"{service} (port {port} of the environment) is at localhost:{local} of the machine "
            "where you type this."
        ),
    )


def take_there(host: str, port: int, *, inside: int = 0) -> Line:
    """Return the line that takes a port of the machine where it is typed into the environment."""
    inside = inside or (port if port >= _FIRST_FREE else port + _RAISE)
    return Line(
        command=_ssh("-R", f"{inside}:localhost:{port}", host),
        purpose=(
            f"Programs in the environment reach port {port} of the machine where you type this "
            f"at localhost:{inside}: a database, a debugger, a licence server."
        ),
    )


def browse(host: str, *, local: int = _SOCKS) -> Line:
    """Return the line by which a browser sees everything that the environment can reach."""
    return Line(
        command=_ssh("-D", str(local), host),
        purpose=(
            f"A browser with the SOCKS proxy localhost:{local} sees the web as the environment "
            "does, every port of it included."
        ),
    )


def _ssh(option: str, value: str, host: str) -> str:
    # -N: no shell, only the forward; ended by Ctrl-C.
    return shlex.join(["ssh", "-N", option, value, host])
