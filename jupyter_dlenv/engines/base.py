"""The engine protocol: what every room above may ask of whatever runs environments.

An engine runs *containers* (a plain process counts as one).  It knows nothing of
kernels, agents or policy; it is given complete plans and obeys them.

Rules for every implementation, kept by ``tests/contract``:

- No method blocks the event loop.
- A call that was cancelled has ended when ``CancelledError`` is raised: whoever
  cleans up afterwards sees all that the call has made.
- Foreign exceptions never pass: what is raised is an ``EngineError`` or an
  ``ImageError`` with the engine's own words in ``detail``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ..granted import NOTHING, Granted
from ..models import LayerProgress, Mount, PortMapping, Ulimit


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine says of itself.

    Attributes:
        id: Stable for the life of the engine's data; tells two engines apart.
        kind: ``docker`` or ``process``.
        isolated: Whether environments are separated from the host at all.
        rootless: Root in a container is the calling user on the host.
        local: Paths of this machine are paths of the engine's host.
        gpu_runtime: How GPUs are asked for: ``cdi``, ``nvidia``, ``runtime`` or empty.
    """

    id: str
    kind: str
    version: str
    api_version: str = ""
    os: str = ""
    architecture: str = ""
    isolated: bool = True
    rootless: bool = False
    local: bool = True
    gpu_runtime: str = ""
    data_root: str = ""
    cpus: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image that the engine has.

    Attributes:
        id: ``sha256:…``; the content, whatever the tags say.
        digests: ``repository@sha256:…`` for each registry that it came from.
    """

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    created: str = ""
    architecture: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A named volume that the engine makes with the container, labelled, if it is missing."""

    name: str
    target: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToPut:
    """A file that is written into the container before it starts."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """Everything an engine needs to create one container.

    Attributes:
        name: Unique on the engine; a second ``create`` of it is refused.
        image: Image id or reference; it is on the engine already.
        command: The image's entrypoint is called with it, if ``entrypoint`` is ``None``.
        entrypoint: Replaces the image's; the empty tuple removes it.
        user: As for ``docker run --user``; empty means the image's USER.
        gpus: UUIDs of GPUs and MIG devices, or ``("all",)``; empty hides all.  Never a count:
            to an engine, two GPUs are always the first two.
        files: Written before the first start, owned by root.
        in_memory: Directories for everybody inside, which are in no image that is made of it.
        network: Whether the container has one.
    """

    name: str
    image: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    hostname: str = ""
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[Volume, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    gpus: tuple[str, ...] = ()
    files: tuple[FileToPut, ...] = ()
    in_memory: tuple[str, ...] = ()
    network: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """One container as observed.

    Attributes:
        state: ``created``, ``running`` or ``exited``, whatever finer words the engine has.
        error: Why the last start failed, in the engine's words.
        granted: What it has of its host.
        created, started: ISO 8601 in UTC; ``started`` is empty before the first start.
    """

    id: str
    name: str
    state: str
    labels: Mapping[str, str]
    image_id: str = ""
    ports: tuple[PortMapping, ...] = ()
    granted: Granted = NOTHING
    created: str = ""
    started: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """Something happened to a container: ``create start die stop destroy rename``."""

    action: str
    container_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a short command ended; output beyond 1 MiB is cut off."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgress:
    """A report of a pull or a build; see ``models.Progress``."""

    message: str = ""
    current: int = 0
    total: int = 0
    layers: tuple[LayerProgress, ...] = ()
    log: str = ""
    speed: float = 0.0
    seconds_left: float | None = None
    warnings: tuple[str, ...] = ()


ReportTransfer = Callable[[TransferProgress], None]
"""Called on the event loop, at most ten times a second; must not block."""


class Stream(Protocol):
    """A process in a container and its standard streams.

    Without a terminal ``read`` returns ``(1, bytes)`` for stdout and ``(2, bytes)`` for
    stderr; with one everything is 1.  ``(0, b"")`` is the end.
    """

    async def read(self) -> tuple[int, bytes]: ...

    async def hand_on(self, take: Callable[[int, Any], None]) -> None:
        """Call, until the end, with what ``read`` would return; ``take`` must not raise."""

    async def write(self, data: bytes) -> None: ...
    async def close_stdin(self) -> None: ...
    async def resize(self, columns: int, rows: int) -> None: ...

    async def wait(self) -> int:
        """Return the exit code, once the output has ended; what was not read is discarded."""

    async def aclose(self) -> None:
        """Let go of the stream; the process sees its stdin end."""


class Engine(Protocol):
    """Runs containers on one machine."""

    @property
    def name(self) -> str:
        """Return the name under which the user knows the engine (``docker``, a URL)."""

    @property
    def address(self) -> str:
        """Return what ``open_engine`` opens it by, in another process too."""

    async def probe(self) -> EngineFacts:
        """Ask the engine who it is.  Called by every door before anything else; cached.

        Raises:
            EngineUnreachableError, EnginePermissionError, EngineTooOldError
        """

    async def create(self, plan: ContainerPlan) -> str:
        """Make a container, do not start it; return its id.

        When it raises, nothing is left behind, the plan's new volumes included.

        Raises:
            ContainerNameTakenError, ImageNotFoundError, MountMissingError,
            DiskFullError, EngineError
        """

    async def rename(self, container_id: str, name: str) -> None:
        """Rename a container, atomically.

        Raises:
            ContainerNameTakenError, ContainerNotFoundError
        """

    async def start(self, container_id: str) -> None:
        """Start a container; a running one is left alone.

        Raises:
            ContainerNotFoundError, PortTakenError, MountMissingError, DiskFullError,
            GPUUnavailableError, UlimitRefusedError, EngineError
        """

    async def inspect(self, container_id: str) -> ContainerState:
        """Look at one container, by id or name.

        Raises:
            ContainerNotFoundError
        """

    async def list(self, labels: Mapping[str, str]) -> tuple[ContainerState, ...]:
        """Return the containers that carry all the labels, in any state.

        A container that disappears meanwhile is left out.
        """

    async def stop(self, container_id: str, *, timeout: float = 10) -> None:
        """End a container's processes: politely, and after the timeout by force.

        A stopped one is left alone.

        Raises:
            ContainerNotFoundError
        """

    async def remove(self, container_id: str, *, volumes: Mapping[str, str] | None = None) -> None:
        """Remove a container in any state, and its volumes that carry all these labels.

        ``None`` keeps named volumes.  Removing what is gone is not an error.
        """

    async def run(self, plan: ContainerPlan, *, timeout: float) -> RunResult:
        """Run a container to its end and remove it, also when cancelled.

        Raises:
            EngineTimeoutError: It had not ended in time; it was removed.
        """

    def logs(
        self, container_id: str, *, follow: bool = False, tail: int = 0
    ) -> AsyncIterator[bytes]:
        """Yield the output so far (the last ``tail`` lines, 0 means all), then what comes.

        Ends when the container ends, or when the iterator is closed.

        Raises:
            ContainerNotFoundError
        """

    def events(self) -> AsyncIterator[EngineEvent]:
        """Yield what happens to containers that carry our labels, until closed.

        Raises:
            EngineUnreachableError: The engine went away.
        """

    async def open_stream(
        self,
        container_id: str,
        argv: tuple[str, ...],
        *,
        tty: bool = False,
        env: Mapping[str, str] | None = None,
        user: str = "",
        workdir: str = "",
    ) -> Stream:
        """Start one more process in a running container.

        Raises:
            ContainerNotFoundError, EnvironmentNotRunningError
        """

    async def aclose(self) -> None:
        """Let go of connections and threads; containers run on."""


@runtime_checkable
class SupportsImages(Protocol):
    """An engine that runs container images."""

    async def pull(self, image: str, report: ReportTransfer) -> ImageFacts:
        """Fetch an image from its registry.  May take an hour; cancelling stops it within 1 s.

        Raises:
            ImageNotFoundError, RegistryRefusedError, RegistryUnreachableError, DiskFullError
        """

    async def build(
        self,
        *,
        tag: str,
        report: ReportTransfer,
        directory: str = "",
        dockerfile: str = "",
        files: tuple[FileToPut, ...] = (),
        labels: Mapping[str, str] | None = None,
        network: bool = True,
    ) -> ImageFacts:
        """Build an image from a directory, or from a Dockerfile's text and files.

        Intermediate containers are removed, also on failure and cancellation.

        Raises:
            BuildFailedError: With the output of the failed step in ``detail``.
            DiskFullError
        """

    async def inspect_image(self, image: str) -> ImageFacts:
        """Look at an image that the engine has.

        Raises:
            ImageNotFoundError
        """

    async def list_images(self) -> tuple[ImageFacts, ...]:
        """Return the tagged images that the engine has, newest first."""

    async def image_layers(self) -> tuple[tuple[str, ...], ...]:
        """Return the layers of each image that a pull would not fetch again.

        By their unpacked content, from below.  What was built or loaded here and never was at a
        registry is left out: engines do not recognise it in a registry's manifest.
        """


@runtime_checkable
class SupportsSocketMounts(Protocol):
    """An engine whose containers can share unix sockets with this machine by a mount."""

    def shares_sockets(self) -> bool:
        """Tell whether they really do: false for Docker Desktop and remote hosts."""


@runtime_checkable
class SupportsDiagnostics(Protocol):
    """An engine that tells a doctor more of itself than environments need."""

    async def diagnostics(self) -> Mapping[str, Any]:
        """Return what the engine says of itself, in its own words and never cached.

        Asked by the doctor only; whoever reads it takes nothing for granted.

        Raises:
            EngineUnreachableError, EnginePermissionError, EngineTooOldError, EngineError
        """
