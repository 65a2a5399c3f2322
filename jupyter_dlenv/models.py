"""The values that all rooms share: what is wanted, what is observed, and how far it is.

Wanted values check themselves on construction and raise ``InvalidSpecError``,
so that nothing invalid ever reaches an engine.  Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from .errors import InvalidNameError, InvalidSpecError
from .untrusted import string_map, strings, typed

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_USER = re.compile(r"caller\Z|root\Z|image\Z|[0-9]{1,10}:[0-9]{1,10}\Z")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?\Z", re.IGNORECASE)
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!\Z)|\Z)){4}\Z")
_MIB = 1024**2

#: Paths of a container that a mount must not hide: its own system.
_SYSTEM_TARGETS = frozenset(
    {"/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin"}
    | {"/sys", "/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/var"}
)


class Phase(str, Enum):
    """How far a launch is."""

    QUEUED = "queued"
    PULLING = "pulling"
    PREPARING = "preparing"
    CREATING = "creating"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (Phase.READY, Phase.FAILED, Phase.CANCELLED)


class Status(str, Enum):
    """What an environment does now."""

    LAUNCHING = "launching"
    RUNNING = "running"
    STOPPED = "stopped"


def validate_name(name: str) -> str:
    """Return the name of an environment, or raise ``InvalidNameError``."""
    if not _NAME.match(name):
        raise InvalidNameError(f"{name[:60]!r} cannot be the name of an environment.")
    return name


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
            _check_path(path)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """What a user wants.

    Attributes:
        name: Unique among the environments of one owner on one engine.
        image: An image reference, as for ``docker pull``.
        gpus: How many GPUs; 0 hides all of them, whatever the image says.
        mounts: In addition to what the door mounts by default.
        env: Variables of every process in the environment.
        user: ``caller`` (files belong to whoever launches), ``root``, ``image``
            (the image's USER), or ``UID:GID``.
        workdir: Where kernels start; empty means the image's own.
        shm_size: Size of ``/dev/shm`` in bytes.  Docker's 64 MiB kill data loaders.
        labels: The user's own labels on the container.
        engine: Name or URL of the engine; empty is the default one.
    """

    name: str
    image: str
    gpus: int = 0
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "caller"
    workdir: str = ""
    shm_size: int = 8 * 1024**3
    ulimits: tuple[Ulimit, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""

    def __post_init__(self) -> None:
        validate_name(self.name)
        if not self.image or self.image.startswith("-") or re.search(r"[\s\0]", self.image):
            raise InvalidSpecError(f"{self.image!r} is not an image reference.")
        if not 0 <= self.gpus <= 64:
            raise InvalidSpecError(f"{self.gpus!r} is not a number of GPUs.")
        if self.shm_size < _MIB:
            raise InvalidSpecError("The shared memory needs at least 1 MiB.", hint="Try 8g.")
        if not _USER.match(self.user):
            raise InvalidSpecError(
                f"{self.user!r} is not a user.", hint="Use caller, root, image or UID:GID."
            )
        if self.workdir:
            _check_path(self.workdir)
        _check_distinct("mount target", [m.target for m in self.mounts])
        _check_distinct("host port", [(p.host_ip, p.host_port) for p in self.ports if p.host_port])
        for key, value in self.env.items():
            if not _ENV_KEY.match(key) or "\0" in value:
                raise InvalidSpecError(f"{key!r} is not the name of a variable.")
        for key, value in self.labels.items():
            if not re.match(r"[a-z0-9][a-z0-9._/-]*\Z", key) or "\0" in value:
                raise InvalidSpecError(f"{key!r} is not the name of a label.")
            if key.startswith("org.jupyter-dlenv"):
                raise InvalidSpecError(f"Labels under {key!r} belong to jupyter_dlenv itself.")
        # A frozen value must not change under its holder's feet.
        object.__setattr__(self, "env", MappingProxyType(dict(self.env)))
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    def to_json(self) -> dict[str, Any]:
        """Return the spec as the wire and the container's label carry it."""
        return {
            "name": self.name,
            "image": self.image,
            "gpus": self.gpus,
            "mounts": [str(m) for m in self.mounts],
            "ports": [str(p) for p in self.ports],
            "env": dict(self.env),
            "user": self.user,
            "workdir": self.workdir,
            "shm_size": self.shm_size,
            "ulimits": [str(u) for u in self.ulimits],
            "labels": dict(self.labels),
            "engine": self.engine,
        }

    @classmethod
    def from_json(cls, data: Any) -> EnvironmentSpec:
        """Read what ``to_json`` wrote, or what a stranger sent.

        Raises:
            InvalidSpecError: A key is unknown, or a value has the wrong type.
        """
        if not isinstance(data, Mapping):
            raise InvalidSpecError("An environment is described by an object.")
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            raise InvalidSpecError(f"An environment has no field {unknown[0]!r}.")
        return cls(
            name=typed(data, "name", str, ""),
            image=typed(data, "image", str, ""),
            gpus=typed(data, "gpus", int, 0),
            mounts=tuple(Mount.parse(m) for m in strings(data, "mounts")),
            ports=tuple(PortMapping.parse(p) for p in strings(data, "ports")),
            env=string_map(data, "env"),
            user=typed(data, "user", str, "caller"),
            workdir=typed(data, "workdir", str, ""),
            shm_size=parse_size(typed(data, "shm_size", (int, str), 8 * 1024**3)),
            ulimits=tuple(Ulimit.parse(u) for u in strings(data, "ulimits")),
            labels=string_map(data, "labels"),
            engine=typed(data, "engine", str, ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is observed on an engine: one environment, now.

    Attributes:
        id: Chosen by us at launch, never reused; the engine's own id is not shown.
        status: What it does now.
        image_id: The image the container really runs (a derived one, where one was built).
        ports: The published ports, with the host ports that the engine chose.
        created: When it was launched, as ISO 8601 in UTC.
        started: When it last started, or empty.
        exit_code: Of the last run; ``None`` while it runs or never ran.
        runtime_dir: On the host: the private directory of the agent's sockets.
        home: Inside: the writable home directory.
        ssh_port: On the engine's host, of the SSH server; 0 if none is published.
    """

    id: str
    spec: EnvironmentSpec
    status: Status
    container_id: str
    image_id: str
    owner: str
    engine: str
    ports: tuple[PortMapping, ...] = ()
    created: str = ""
    started: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    runtime_dir: str = ""
    home: str = ""
    ssh_port: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kernel_name(self) -> str:
        """Return the name of the environment's kernelspec."""
        return f"dlenv-{self.name}"

    def to_json(self) -> dict[str, Any]:
        """Return the environment as every door shows it."""
        return {
            "name": self.name,
            "id": self.id,
            "status": self.status.value,
            "image": self.spec.image,
            "image_id": self.image_id,
            "gpus": self.spec.gpus,
            "kernel_name": self.kernel_name,
            "container_id": self.container_id,
            "owner": self.owner,
            "engine": self.engine,
            "ports": [str(p) for p in self.ports],
            "mounts": [str(m) for m in self.spec.mounts],
            "created": self.created,
            "started": self.started,
            "exit_code": self.exit_code,
            "out_of_memory": self.out_of_memory,
            "home": self.home,
            "ssh_port": self.ssh_port,
            "spec": self.spec.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProgress:
    """One layer of a pull; bytes are 0 where the engine does not say."""

    id: str
    state: str
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report of a launch.

    Attributes:
        message: One line for people: what happens now.
        current: Bytes (or steps of a build) that are done; 0 with ``total`` 0 if unknown.
        log: New output of a build since the report before, if any.
    """

    phase: Phase
    message: str = ""
    current: int = 0
    total: int = 0
    layers: tuple[LayerProgress, ...] = ()
    log: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "phase": self.phase.value,
            "message": self.message,
            "current": self.current,
            "total": self.total,
            "layers": [
                {"id": x.id, "state": x.state, "current": x.current, "total": x.total}
                for x in self.layers
            ],
            "log": self.log,
        }


def _check_path(path: str) -> None:
    if not path.startswith("/") or "\0" in path or ":" in path:
        raise InvalidSpecError(f"{path!r} is not an absolute path (without a colon).")
    if ".." in path.split("/"):
        raise InvalidSpecError(f"{path!r} must not contain '..'.")


def _check_distinct(what: str, values: list[Any]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InvalidSpecError(f"The {what} {value} is given twice.")
        seen.add(value)
