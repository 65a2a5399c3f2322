"""The parts of a wanted environment that users write as one word: mounts, ports, limits, sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InvalidSpecError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?\Z", re.IGNORECASE)
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!\Z)|\Z)){4}\Z")

#: Paths of a container that a mount must not hide: its own system.
_SYSTEM_TARGETS = frozenset(
    {"/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin"}
    | {"/sys", "/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/var"}
)


def parse_size(text: str | int) -> int:
    """Return bytes for ``8g``, ``512m``, ``1.5 GiB`` or a number of bytes.

    Raises:
        InvalidSpecError: It is none of these.
    """
    if isinstance(text, int):
        return text
    match = _SIZE.match(text.strip())
    if match is None:
        raise InvalidSpecError(f"{text!r} is not a size such as 8g or 512m.")
    power = " kmgt".index(match[2].lower() or " ")
    return int(float(match[1]) * 1024**power)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A directory or file of the engine's host, seen inside the environment."""

    source: str
    target: str
    read_only: bool = False

    def __post_init__(self) -> None:
        for path in (self.source, self.target):
            check_path(path)
        if self.target in _SYSTEM_TARGETS:
            raise InvalidSpecError(
                f"Nothing can be mounted at {self.target}: it would hide the image's system.",
                hint="Choose a target such as /data.",
            )

    @classmethod
    def parse(cls, text: str) -> Mount:
        """Read ``SRC:DST[:ro|rw]``."""
        parts = text.split(":")
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("ro", "rw")):
            raise InvalidSpecError(
                f"{text!r} is not a mount.", hint="Write it as SRC:DST or SRC:DST:ro."
            )
        return cls(source=parts[0], target=parts[1], read_only=parts[2:] == ["ro"])

    def __str__(self) -> str:
        return f"{self.source}:{self.target}{':ro' if self.read_only else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortMapping:
    """A port of the environment published on the engine's host (``docker run -p``).

    A ``host_port`` of 0 in a spec means any free port; an observed one is never 0.
    """

    container_port: int
    host_port: int = 0
    host_ip: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if not 1 <= self.container_port <= 65535:
            raise InvalidSpecError(f"{self.container_port} is not a port (1 to 65535).")
        if not 0 <= self.host_port <= 65535:
            raise InvalidSpecError(f"{self.host_port} is not a host port (0 to 65535).")
        if not _IPV4.match(self.host_ip):
            raise InvalidSpecError(f"{self.host_ip!r} is not an IPv4 address to publish on.")

    @classmethod
    def parse(cls, text: str) -> PortMapping:
        """Read ``[IP:]HOST:CONTAINER`` or ``CONTAINER``."""
        parts = text.split(":")
        numbers = parts[-2:]
        if len(parts) > 3 or not all(p.isascii() and p.isdigit() for p in numbers):
            raise InvalidSpecError(
                f"{text!r} is not a port mapping.",
                hint="Write it as HOST:CONTAINER, such as 8080:80, or IP:HOST:CONTAINER.",
            )
        return cls(
            container_port=int(numbers[-1]),
            host_port=int(numbers[0]) if len(numbers) == 2 else 0,
            host_ip=parts[0] if len(parts) == 3 else "127.0.0.1",
        )

    def __str__(self) -> str:
        return f"{self.host_ip}:{self.host_port}:{self.container_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    """A resource limit of the environment's processes; -1 is unlimited."""

    name: str
    soft: int
    hard: int

    def __post_init__(self) -> None:
        if not re.match(r"[a-z]+\Z", self.name):
            raise InvalidSpecError(f"{self.name!r} is not a ulimit.")

    @classmethod
    def parse(cls, text: str) -> Ulimit:
        """Read ``NAME=SOFT[:HARD]``."""
        match = re.match(r"([a-z]+)=(-?\d+)(?::(-?\d+))?\Z", text)
        if match is None:
            raise InvalidSpecError(
                f"{text!r} is not a ulimit.", hint="Write it as NAME=SOFT or NAME=SOFT:HARD."
            )
        return cls(name=match[1], soft=int(match[2]), hard=int(match[3] or match[2]))

    def __str__(self) -> str:
        return f"{self.name}={self.soft}:{self.hard}"


def check_path(path: str) -> None:
    """Raise ``InvalidSpecError`` unless a path is absolute and plain."""
    if not path.startswith("/") or "\0" in path or ":" in path:
        raise InvalidSpecError(f"{path!r} is not an absolute path (without a colon).")
    if ".." in path.split("/"):
        raise InvalidSpecError(f"{path!r} must not contain '..'.")
