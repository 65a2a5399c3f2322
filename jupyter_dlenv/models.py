"""The values that all rooms share: what is wanted, what is observed, and how far it is.

Wanted values check themselves on construction and raise ``InvalidSpecError``,
so that nothing invalid ever reaches an engine.  Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from .errors import InvalidNameError, InvalidSpecError
from .gpu_request import GpuRequest
from .granted import NOTHING, Granted
from .spec_parts import Mount as Mount
from .spec_parts import PortMapping as PortMapping
from .spec_parts import Ulimit as Ulimit
from .spec_parts import check_path
from .spec_parts import parse_size as parse_size
from .untrusted import flag, optional_number, string_map, strings, typed

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_USER = re.compile(r"caller\Z|root\Z|image\Z|[0-9]{1,10}:[0-9]{1,10}\Z")
_MIB = 1024**2
#: The exit code of an environment that has stopped by itself because nobody used it.
IDLE_EXIT = 124
_LONGEST_IDLE = 365 * 24 * 60
#: With it a container would see GPUs that it was not given.
_GPU_VARIABLE = "NVIDIA_VISIBLE_DEVICES"


class Phase(str, Enum):
    """How far a launch is."""

    QUEUED = "queued"
    PULLING = "pulling"
    PREPARING = "preparing"
    #: In line for GPUs; ``message`` tells the place.
    WAITING = "waiting"
    CREATING = "creating"
    STARTING = "starting"
    SAVING = "saving"
    PUSHING = "pushing"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """What a user wants.

    Attributes:
        name: Unique among the environments of one owner on one engine.
        image: An image reference, as for ``docker pull``.
        gpus: How many GPUs, or which; none hides all of them, whatever the image says.
        shared: Take GPUs that others use, too, if there are not enough idle ones.
        mounts: In addition to what the door mounts by default.
        env: Variables of every process in the environment.
        user: ``caller`` (files belong to whoever launches), ``root``, ``image``
            (the image's USER), or ``UID:GID``.
        workdir: Where kernels start; empty means the image's own.
        shm_size: Size of ``/dev/shm`` in bytes.  Docker's 64 MiB kill data loaders.
        labels: The user's own labels on the container.
        engine: Name or URL of the engine; empty is the default one.
        idle_stop: After how many minutes without use it stops; 0 is never, ``None`` is what is
            configured.
    """

    name: str
    image: str
    gpus: GpuRequest = field(default_factory=GpuRequest)
    shared: bool = False
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "caller"
    workdir: str = ""
    shm_size: int = 8 * 1024**3
    ulimits: tuple[Ulimit, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""
    idle_stop: float | None = None

    def __post_init__(self) -> None:
        validate_name(self.name)
        if not self.image or self.image.startswith("-") or re.search(r"[\s\0]", self.image):
            raise InvalidSpecError(f"{self.image!r} is not an image reference.")
        if self.shm_size < _MIB:
            raise InvalidSpecError("The shared memory needs at least 1 MiB.", hint="Try 8g.")
        if not _USER.match(self.user):
            raise InvalidSpecError(
                f"{self.user!r} is not a user.", hint="Use caller, root, image or UID:GID."
            )
        if self.workdir:
            check_path(self.workdir)
        if self.idle_stop is not None and not 0 <= self.idle_stop <= _LONGEST_IDLE:
            raise InvalidSpecError(
                "idle_stop is a number of minutes, at most a year.", hint="0 is never."
            )
        _check_distinct(f"The mount target {m.target}" for m in self.mounts)
        taken = (f"{p.host_ip}:{p.host_port}" for p in self.ports if p.host_port)
        _check_distinct(f"The host port {address}" for address in taken)
        for key, value in self.env.items():
            if not _ENV_KEY.match(key) or "\0" in value:
                raise InvalidSpecError(f"{key!r} is not the name of a variable.")
            if key == _GPU_VARIABLE:
                raise InvalidSpecError(
                    f"{key} is set by what GPUs the environment gets.",
                    hint="Say which GPUs with --gpus; CUDA_VISIBLE_DEVICES can hide some of them.",
                )
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
            "gpus": self.gpus.to_json(),
            "shared": self.shared,
            "mounts": [str(m) for m in self.mounts],
            "ports": [str(p) for p in self.ports],
            "env": dict(self.env),
            "user": self.user,
            "workdir": self.workdir,
            "shm_size": self.shm_size,
            "ulimits": [str(u) for u in self.ulimits],
            "labels": dict(self.labels),
            "engine": self.engine,
            "idle_stop": self.idle_stop,
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
            gpus=GpuRequest.parse(data.get("gpus", 0)),
            shared=flag(data, "shared"),
            mounts=tuple(Mount.parse(m) for m in strings(data, "mounts")),
            ports=tuple(PortMapping.parse(p) for p in strings(data, "ports")),
            env=string_map(data, "env"),
            user=typed(data, "user", str, "caller"),
            workdir=typed(data, "workdir", str, ""),
            shm_size=parse_size(typed(data, "shm_size", (int, str), 8 * 1024**3)),
            ulimits=tuple(Ulimit.parse(u) for u in strings(data, "ulimits")),
            labels=string_map(data, "labels"),
            engine=typed(data, "engine", str, ""),
            idle_stop=optional_number(data, "idle_stop"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is observed on an engine: one environment, now.

    Attributes:
        id: Chosen by us at launch, never reused; the engine's own id is not shown.
        status: What it does now.
        image_id: The image the container really runs (a derived one, where one was built).
        gpu_uuids: The GPUs and MIG devices that it was given, in order of their indices.
        ports: The published ports, with the host ports that the engine chose.
        created: When it was launched, as ISO 8601 in UTC.
        started: When it last started, or empty.
        exit_code: Of the last run; ``None`` while it runs or never ran.
        runtime_dir: On the host: the private directory of the agent's sockets.
        home: Inside: the writable home directory.
        python: Inside: the interpreter of agent and kernels.
        streamed: Its sockets are carried over a stream, and not shared by a mount.
        ssh_port: On the engine's host, of the SSH server; 0 if none is published.
    """

    id: str
    spec: EnvironmentSpec
    status: Status
    container_id: str
    image_id: str
    owner: str
    engine: str
    gpu_uuids: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    granted: Granted = NOTHING
    created: str = ""
    started: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    runtime_dir: str = ""
    home: str = ""
    python: str = ""
    streamed: bool = False
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
            "gpus": len(self.gpu_uuids),
            "gpu_uuids": list(self.gpu_uuids),
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
        speed: Bytes per second, over the last seconds.
        seconds_left: ``None`` if it cannot be told yet.
        warnings: What speaks against the image, known before it is fetched.
    """

    phase: Phase
    message: str = ""
    current: int = 0
    total: int = 0
    layers: tuple[LayerProgress, ...] = ()
    log: str = ""
    speed: float = 0.0
    seconds_left: float | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "phase": self.phase.value,
            "layers": [asdict(layer) for layer in self.layers],
            "speed": round(self.speed),
            "warnings": list(self.warnings),
        }


def _check_distinct(names: Iterable[str]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise InvalidSpecError(f"{name} is given twice.")
        seen.add(name)
