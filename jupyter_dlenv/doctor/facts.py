"""Everything that diagnoses are made from, as one value that can be written down and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .wire import read_value, write_value


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """What the engine said of itself, or why it said nothing.

    Attributes:
        error: Code of the error with which it could not be asked, or empty.
        runtimes: Names of the runtimes that it has.
        cdi_dirs: Where it looks for CDI specifications; ``None`` where it does not say.
        cdi_devices: Those that it has found; ``None`` where it does not say.
        disk_total, disk_free: Bytes of the disk that holds its data, if it is of this machine.
        started: When its process started, in seconds since the epoch, if it can be seen.
    """

    name: str = ""
    kind: str = ""
    error: str = ""
    message: str = ""
    hint: str = ""
    detail: str = ""
    version: str = ""
    api_version: str = ""
    os: str = ""
    kernel: str = ""
    architecture: str = ""
    local: bool = False
    shares_sockets: bool = False
    security: tuple[str, ...] = ()
    cgroup_driver: str = ""
    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    cdi_dirs: tuple[str, ...] | None = None
    cdi_devices: tuple[str, ...] | None = None
    forwards_packets: bool = True
    proxies: tuple[str, ...] = ()
    data_root: str = ""
    disk_total: int | None = None
    disk_free: int | None = None
    started: float | None = None

    @property
    def answers(self) -> bool:
        return bool(self.kind) and not self.error

    @property
    def number(self) -> tuple[int, ...]:
        """Return the version as numbers, such as ``(28, 2)``; empty if it is none."""
        numbers = []
        for part in self.version.split("-")[0].split("+")[0].split(".")[:3]:
            if not part.isdigit():
                break
            numbers.append(int(part))
        return tuple(numbers)

    @property
    def gpu_names(self) -> tuple[str, ...]:
        """Return the GPUs that it offers through CDI, without the kind before the name."""
        kind = "nvidia.com/gpu="
        return tuple(d[len(kind) :] for d in self.cdi_devices or () if d.startswith(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """One GPU; what the doctor does not use of it is left out."""

    index: int
    uuid: str = ""
    name: str = ""
    state: str = "ok"
    error: str = ""
    compute_capability: str = ""
    memory_used: int = 0
    processes: int = 0
    mig_enabled: bool = False
    compute_mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverReport:
    """The NVIDIA driver of this machine.

    Attributes:
        state: A ``DriverState``, or empty where nobody looked.
        version: As the library says it.
        module: Version of the kernel module that is loaded, or empty.
        cuda: Highest CUDA version, such as ``13.0``.
    """

    state: str = ""
    message: str = ""
    version: str = ""
    module: str = ""
    cuda: str = ""
    gpus: tuple[GpuReport, ...] = ()

    @property
    def works(self) -> bool:
        return self.state == "ok" and bool(self.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolkitReport:
    """The NVIDIA Container Toolkit of this machine.

    Attributes:
        version: Of ``nvidia-ctk``, or empty.
        programs: Those of its programs that are on the PATH.
        installed: When its hook was last changed, in seconds since the epoch.
        no_cgroups: As its configuration says; ``None`` where that cannot be read.
    """

    version: str = ""
    programs: tuple[str, ...] = ()
    installed: float | None = None
    no_cgroups: bool | None = None

    @property
    def has_hook(self) -> bool:
        return "nvidia-container-runtime-hook" in self.programs


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentReport:
    """One environment, with what can be known of its image and of what it said.

    Attributes:
        sees: GPUs that it sees, as device nodes; ``None`` where nobody could look.
        smi: What ``nvidia-smi -L`` inside says when it fails, or empty.
        error: Of the last start, in the engine's words.
        log: The last lines that it printed.
        image_driver: Lowest driver that its image wants, or empty.
        image_requires: ``NVIDIA_REQUIRE_CUDA`` of the image.
        image_capabilities: Compute capabilities that the image was built for.
    """

    name: str
    image: str = ""
    running: bool = False
    gpus: int = 0
    shm_size: int = 0
    sees: tuple[str, ...] | None = None
    smi: str = ""
    error: str = ""
    log: str = ""
    image_architecture: str = ""
    image_driver: str = ""
    image_requires: str = ""
    image_capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryReport:
    """How a registry answers this machine.

    Attributes:
        state: ``open``, ``login`` (it wants one), ``unreachable``, ``tls`` (its certificate is
            not trusted here) or ``odd`` (it answers, but not as a registry).
        login: A login for it is saved.
    """

    host: str
    state: str
    login: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReport:
    """The machine that Jupyter runs on.

    Attributes:
        in_container: Jupyter itself runs in a container.
        proxies: Variables that name a proxy; not their values, which may hold passwords.
        ca_missing: Variables that name certificates which are not there, with the path.
        ca_own: Variables that name certificates which are there.
        runtime_dir_trouble, data_dir_trouble: Why the directory cannot be used, or empty.
        loopback: Whether a port of 127.0.0.1 can be opened.
        host_ports: Lowest and highest host port that may be published.
        unprivileged_from: First port that needs no root.
    """

    system: str = ""
    architecture: str = ""
    uid: int = -1
    in_container: bool = False
    shm_size: int | None = None
    proxies: tuple[str, ...] = ()
    ca_missing: tuple[str, ...] = ()
    ca_own: tuple[str, ...] = ()
    runtime_dir: str = ""
    runtime_dir_trouble: str = ""
    data_dir: str = ""
    data_dir_trouble: str = ""
    data_free: int | None = None
    loopback: bool = True
    host_ports: tuple[int, ...] = (1024, 65535)
    unprivileged_from: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsReport:
    """Versions of our own parts.

    Attributes:
        packages: By distribution name; one that is not installed is not in it.
        unmet: Requirements of ours that the installed packages do not meet.
        front_end: Version of the JupyterLab extension, or empty if it is not installed.
    """

    version: str = ""
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    front_end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found out; a part that could not be had is in ``absent``, with the reason."""

    engine: EngineReport = field(default_factory=EngineReport)
    driver: DriverReport = field(default_factory=DriverReport)
    toolkit: ToolkitReport = field(default_factory=ToolkitReport)
    environments: tuple[EnvironmentReport, ...] = ()
    registries: tuple[RegistryReport, ...] = ()
    machine: MachineReport = field(default_factory=MachineReport)
    parts: PartsReport = field(default_factory=PartsReport)
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def gpus(self) -> tuple[GpuReport, ...]:
        """Return the GPUs that the engine's containers could have, as far as can be seen here."""
        return self.driver.gpus if self.driver.works and self.engine.local else ()

    def without_logs(self) -> Facts:
        """Return the facts as they may be shown to others: what environments print is private."""
        return replace(self, environments=tuple(replace(e, log="") for e in self.environments))

    def to_json(self) -> dict[str, Any]:
        written: dict[str, Any] = write_value(self)
        return written

    @classmethod
    def from_json(cls, data: Any) -> Facts:
        """Read what ``to_json`` wrote, also of another version: what is unknown is left out.

        Raises:
            InvalidSpecError: A value has the wrong type.
        """
        facts: Facts = read_value(cls, data, "facts")
        return facts
