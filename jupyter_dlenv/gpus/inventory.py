"""What is known of the GPUs of one machine at one moment, whoever found it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Link(str, Enum):
    """How two GPUs reach each other, best first; the words of ``nvidia-smi topo``."""

    NVLINK = "NV"
    SAME_BOARD = "PSB"
    SAME_SWITCH = "PIX"
    SWITCHES = "PXB"
    HOST_BRIDGE = "PHB"
    SAME_NODE = "NODE"
    SYSTEM = "SYS"


class GpuState(str, Enum):
    """Whether a GPU can be used at all."""

    OK = "ok"
    LOST = "lost"
    ERROR = "error"


class DriverState(str, Enum):
    """Whether the driver answers, and why not."""

    OK = "ok"
    #: No driver library on this machine.
    MISSING = "missing"
    #: The library is there, its kernel module is not loaded.
    NOT_LOADED = "not-loaded"
    #: The driver was upgraded, and the old module is still loaded.
    MISMATCH = "mismatch"
    #: The driver library lacks functions that the inventory needs.
    TOO_OLD = "too-old"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that uses a GPU.

    Attributes:
        memory: Bytes of GPU memory, or ``None`` where the driver does not tell.
        user: Name of its user, or empty if it cannot be seen from here.
        container_id: Full id of the container that it runs in, or empty.
        kind: ``compute`` or ``graphics``.
    """

    pid: int
    memory: int | None = None
    user: str = ""
    command: str = ""
    container_id: str = ""
    kind: str = "compute"

    def to_json(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "memory": self.memory,
            "user": self.user,
            "command": self.command,
            "container_id": self.container_id,
            "kind": self.kind,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MigDevice:
    """A part of a GPU in MIG mode, which is leased on its own."""

    uuid: str
    index: int
    name: str = ""
    memory_total: int = 0
    memory_used: int = 0
    processes: tuple[GpuProcess, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "index": self.index,
            "name": self.name,
            "memory_total": self.memory_total,
            "memory_used": self.memory_used,
            "processes": [p.to_json() for p in self.processes],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU.

    Attributes:
        uuid: ``GPU-…``; empty for a lost one that was never seen healthy.
        memory_used: Bytes, without what the driver reserves for itself.
        utilization: Percent of the last sample; ``None`` where there is none (MIG).
        temperature: Degrees Celsius.
        power: Watts.
        compute_capability: Such as ``(9, 0)``.
        error: Why the state is not OK, in the driver's words.
        mig_enabled: The GPU itself cannot be leased, its ``mig_devices`` can.
    """

    index: int
    uuid: str
    name: str = ""
    state: GpuState = GpuState.OK
    error: str = ""
    memory_total: int = 0
    memory_used: int = 0
    utilization: int | None = None
    temperature: int | None = None
    power: float | None = None
    power_limit: float | None = None
    compute_capability: tuple[int, int] | None = None
    pci_bus_id: str = ""
    minor: int | None = None
    mig_enabled: bool = False
    mig_devices: tuple[MigDevice, ...] = ()
    processes: tuple[GpuProcess, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "uuid": self.uuid,
            "name": self.name,
            "state": self.state.value,
            "error": self.error,
            "memory_total": self.memory_total,
            "memory_used": self.memory_used,
            "utilization": self.utilization,
            "temperature": self.temperature,
            "power": self.power,
            "power_limit": self.power_limit,
            "compute_capability": list(self.compute_capability or ()) or None,
            "pci_bus_id": self.pci_bus_id,
            "mig_enabled": self.mig_enabled,
            "mig_devices": [d.to_json() for d in self.mig_devices],
            "processes": [p.to_json() for p in self.processes],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The GPUs of one machine at one moment.

    Attributes:
        message: For people: why ``driver_state`` is not OK, and empty if it is.
        driver_version: Such as ``580.95.05``; empty where it is not known.
        cuda_version: Highest CUDA version of the driver, such as ``(13, 0)``.
        links: By pairs of indices, the smaller first; pairs that are not in it are SYSTEM.
        taken: Seconds since the epoch.
    """

    driver_state: DriverState = DriverState.OK
    message: str = ""
    driver_version: str = ""
    cuda_version: tuple[int, int] | None = None
    gpus: tuple[Gpu, ...] = ()
    links: Mapping[tuple[int, int], Link] = field(default_factory=dict)
    taken: float = 0.0

    def link(self, a: int, b: int) -> Link:
        """Return how two GPUs, by index, reach each other."""
        return self.links.get((min(a, b), max(a, b)), Link.SYSTEM)

    def to_json(self) -> dict[str, Any]:
        return {
            "driver_state": self.driver_state.value,
            "message": self.message,
            "driver_version": self.driver_version,
            "cuda_version": list(self.cuda_version or ()) or None,
            "gpus": [g.to_json() for g in self.gpus],
            "links": [
                {"between": list(pair), "link": link.value}
                for pair, link in sorted(self.links.items())
            ],
            "taken": self.taken,
        }
