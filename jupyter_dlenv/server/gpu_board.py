"""The board of GPUs that a page shows: each GPU, who has it, and which a launch would take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import DlenvError
from ..gpu_request import GpuRequest
from ..gpu_view import GpuView
from ..gpus.choose import choose, why_taken, why_unusable
from ..gpus.devices import Device, devices
from ..gpus.inventory import GpuState, Inventory, Link
from ..models import Environment, Status


def board(view: GpuView, environments: Iterable[Environment], *, count: int = 0) -> dict[str, Any]:
    """Return what ``GET /gpus`` answers.

    Of other people's processes it has their user and number, and not what they run.

    Args:
        environments: Of the owner who looks.
        count: How many GPUs the launch wants that somebody prepares.
    """
    inventory, fenced, reasons = view.inventory, view.fenced, view.holders.by_uuid
    own = _own(inventory, environments)
    everything = devices(inventory)
    whole = [d for d in everything if d.mig is None]
    return {
        "driver": {
            "state": inventory.driver_state.value,
            "message": inventory.message,
            "version": inventory.driver_version,
            "cuda": ".".join(map(str, inventory.cuda_version or ())),
        },
        "gpus": [_gpu(d, everything, own, reasons, fenced) for d in whole],
        "nvlinks": [list(p) for p, link in sorted(inventory.links.items()) if link is Link.NVLINK],
        "free": sum(_state(d, reasons, fenced) == "free" for d in whole),
        "will_be_taken": _will_be_taken(inventory, reasons, fenced, count),
    }


def _own(inventory: Inventory, environments: Iterable[Environment]) -> dict[str, str]:
    """Return the names of the owner's running environments by the UUIDs that they have."""
    running = [e for e in environments if e.status is not Status.STOPPED]
    names = {e.container_id: e.name for e in running if e.container_id}
    seen = {
        device.uuid: names[process.container_id]
        for device in devices(inventory)
        for process in device.processes
        if process.container_id in names
    }
    return seen | {uuid: e.name for e in running for uuid in e.gpu_uuids}


def _gpu(
    device: Device,
    everything: Sequence[Device],
    holders: Mapping[str, str],
    reasons: Mapping[str, str],
    fenced: Mapping[str, str],
) -> dict[str, Any]:
    gpu = device.gpu
    return {
        **_device(device, holders, reasons, fenced),
        "index": gpu.index,
        "name": gpu.name,
        "utilization": gpu.utilization,
        "temperature": gpu.temperature,
        "power": gpu.power,
        "mig": [
            {"name": d.mig.name, "index": d.mig.index, **_device(d, holders, reasons, fenced)}
            for d in everything
            if d.gpu is gpu and d.mig is not None
        ],
    }


def _device(
    device: Device,
    holders: Mapping[str, str],
    reasons: Mapping[str, str],
    fenced: Mapping[str, str],
) -> dict[str, Any]:
    total = device.mig.memory_total if device.mig else device.gpu.memory_total
    return {
        "uuid": device.uuid,
        "state": _state(device, reasons, fenced),
        "reason": why_unusable(device, fenced) or why_taken(device, reasons),
        "memory_used": device.memory_used,
        "memory_total": total,
        "environment": holders.get(device.uuid, ""),
        "users": sorted({p.user for p in device.processes if p.user}),
        "processes": len(device.processes),
    }


def _state(device: Device, reasons: Mapping[str, str], fenced: Mapping[str, str]) -> str:
    gpu = device.gpu
    if gpu.state is not GpuState.OK:
        return str(gpu.state.value)
    if gpu.mig_enabled and device.mig is None:
        return "mig"
    if why_unusable(device, fenced):
        return "fenced"
    if device.uuid in reasons:
        return "leased"
    return "busy" if why_taken(device, reasons) else "free"


def _will_be_taken(
    inventory: Inventory, reasons: Mapping[str, str], fenced: Mapping[str, str], count: int
) -> list[str]:
    """Return as many UUIDs as are free: a launch that wants more waits for the others."""
    for fewer in range(count, 0, -1):
        try:
            request = GpuRequest(count=fewer)
            return list(choose(inventory, request, reasons, fenced=fenced).uuids)
        except DlenvError:
            continue
    return []
