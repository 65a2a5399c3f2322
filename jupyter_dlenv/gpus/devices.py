"""What can be leased, full GPUs and MIG devices alike, and how users name it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from .inventory import Gpu, GpuProcess, Inventory, MigDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or one MIG device of it."""

    gpu: Gpu
    mig: MigDevice | None = None

    @property
    def uuid(self) -> str:
        return self.mig.uuid if self.mig else self.gpu.uuid

    @property
    def label(self) -> str:
        """Return what people call it: ``GPU 3``, or ``GPU 2:1`` for a MIG device."""
        return f"GPU {self.gpu.index}:{self.mig.index}" if self.mig else f"GPU {self.gpu.index}"

    @property
    def memory_used(self) -> int:
        return self.mig.memory_used if self.mig else self.gpu.memory_used

    @property
    def utilization(self) -> int | None:
        return None if self.mig else self.gpu.utilization

    @property
    def processes(self) -> tuple[GpuProcess, ...]:
        return self.mig.processes if self.mig else self.gpu.processes

    @property
    def order(self) -> tuple[int, int]:
        return (self.gpu.index, self.mig.index if self.mig else -1)

    def is_named(self, name: str) -> bool:
        """Tell whether ``3``, ``2:1``, or the beginning of a UUID means this device."""
        if name.startswith(("GPU-", "MIG-")):
            return self.uuid.lower().startswith(name.lower())
        return self.label == f"GPU {name}"


def devices(inventory: Inventory) -> tuple[Device, ...]:
    """Return everything that can be leased, or could be if it were not lost or parted."""
    found: list[Device] = []
    for gpu in inventory.gpus:
        found.append(Device(gpu=gpu))
        found += [Device(gpu=gpu, mig=mig) for mig in gpu.mig_devices]
    return tuple(found)


def named(among: Iterable[Device], name: str) -> tuple[Device, ...]:
    """Return the devices that a name means: normally one, of a short UUID perhaps more."""
    return tuple(d for d in among if d.is_named(name))


def as_if_free(inventory: Inventory, uuids: Collection[str]) -> Inventory:
    """Return the inventory as it will be when nobody uses these devices any more."""
    idle: dict[str, Any] = {"memory_used": 0, "processes": ()}

    def freed(gpu: Gpu) -> Gpu:
        migs = tuple(replace(m, **idle) if m.uuid in uuids else m for m in gpu.mig_devices)
        gpu = replace(gpu, mig_devices=migs)
        return replace(gpu, utilization=0, **idle) if gpu.uuid in uuids else gpu

    return replace(inventory, gpus=tuple(map(freed, inventory.gpus))) if uuids else inventory
