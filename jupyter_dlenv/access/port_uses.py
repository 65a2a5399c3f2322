"""The ports of an environment in one list: published, forwarded, and found listening inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..models import PortMapping
from .forwards import Forward
from .services import guess


@dataclass(frozen=True, slots=True, kw_only=True)
class PortUse:
    """One port inside an environment, and the ways to it.

    Attributes:
        listening: Whether somebody listens there now; ``None`` if nobody could be asked.
        loopback: Only connections from inside reach it, so publishing it leads nowhere; a
            forward does.
        process: The name of the process, empty where it cannot be seen.
        service: What it probably is, empty without a guess.
        web: Whether a browser can probably show it.
        published: ``IP:PORT`` of the engine's host, for each publication.
        forwarded: Local ports that lead to it now.
    """

    port: int
    listening: bool | None = None
    loopback: bool = False
    process: str = ""
    service: str = ""
    web: bool = True
    published: tuple[str, ...] = ()
    forwarded: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "listening": self.listening,
            "loopback": self.loopback,
            "process": self.process,
            "service": self.service,
            "web": self.web,
            "published": list(self.published),
            "forwarded": list(self.forwarded),
        }


def port_uses(
    published: Iterable[PortMapping],
    forwards: Iterable[Forward],
    listeners: Sequence[Mapping[str, Any]] | None,
) -> tuple[PortUse, ...]:
    """Return all ports that are published, forwarded or listened on, by number.

    Args:
        listeners: What the agent says, as ``agent/listeners.py`` describes it; ``None`` if it
            could not be asked.
    """
    published, forwards = list(published), list(forwards)
    found = _by_port(listeners or ())
    numbers = {p.container_port for p in published} | {f.port for f in forwards} | set(found)
    return tuple(
        _use(number, published, forwards, found.get(number), asked=listeners is not None)
        for number in sorted(numbers)
    )


def _use(
    number: int,
    published: list[PortMapping],
    forwards: list[Forward],
    listeners: list[Mapping[str, Any]] | None,
    *,
    asked: bool,
) -> PortUse:
    known = listeners or []
    # Of several sockets on one port (IPv4 and IPv6, workers), the one whose process is seen.
    first = next((x for x in known if x.get("name")), known[0] if known else {})
    process = str(first.get("name", ""))
    command = first.get("command", [])
    words = [str(word) for word in command] if isinstance(command, list) else []
    guessed = guess(process, words, number)
    return PortUse(
        port=number,
        listening=bool(known) if asked else None,
        loopback=bool(known) and all(_is_loopback(str(x.get("address", ""))) for x in known),
        process=process,
        service=guessed.name,
        web=guessed.web,
        published=tuple(
            f"{p.host_ip}:{p.host_port}" for p in published if p.container_port == number
        ),
        forwarded=tuple(f.local_port for f in forwards if f.port == number and not f.problem),
    )


def _by_port(
    listeners: Sequence[Mapping[str, Any]],
) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = {}
    for listener in listeners:
        port = listener.get("port")
        if isinstance(port, int) and 1 <= port <= 65535:
            found.setdefault(port, []).append(listener)
    return found


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
