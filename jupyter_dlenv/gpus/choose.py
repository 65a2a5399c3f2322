"""Which GPUs to take: idle ones with the best links; and why not the others, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import InvalidSpecError, NoFreeGpuError
from ..gpu_request import GpuRequest
from .devices import Device, devices, named
from .inventory import GpuState, Inventory
from .links import best_connected

#: Below both, and without a process, a GPU is idle.
BUSY_PERCENT = 5
BUSY_BYTES = 256 * 1024**2
#: How the reason ends for a GPU that has load, and neither a process nor memory in use.
BUSY = "% busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """A GPU or MIG device that was not chosen, and why; a lost one may have no UUID."""

    label: str
    uuid: str
    reason: str

    def __str__(self) -> str:
        return f"{self.label}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The GPUs to take, in order of their indices, and all others."""

    uuids: tuple[str, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()


def choose(
    inventory: Inventory,
    request: GpuRequest,
    reasons: Mapping[str, str] | None = None,
    *,
    fenced: Mapping[str, str] | None = None,
    shared: bool = False,
) -> Choice:
    """Return the GPUs that fulfil a request best.

    Args:
        reasons: Why not, by UUID, for GPUs that others hold.
        fenced: The same for GPUs that this server must not use, not even shared.
        shared: Take GPUs that others use, too, if there are not enough idle ones.

    Raises:
        InvalidSpecError: The request names GPUs that do not exist, or that cannot be together.
        NoFreeGpuError: Too few are free; says why for each.
    """
    everything = devices(inventory)
    unusable = {d.order: why_unusable(d, fenced or {}) for d in everything}
    taken_by = {d.order: why_taken(d, reasons or {}) for d in everything}
    why_not = {d.order: unusable[d.order] or taken_by[d.order] for d in everything}

    eligible = _eligible(everything, request)
    free = [d for d in eligible if not why_not[d.order]]
    usable = [d for d in eligible if not unusable[d.order]]
    wanted = _number_wanted(request, eligible, unusable)
    pool = free
    if shared and len(free) < wanted:
        # Those that fewest others use come first.
        others = sorted(set(usable) - set(free), key=_crowd)
        pool = free + others[: wanted - len(free)]
    if len(pool) < wanted or (request.all and not wanted):
        raise _too_few(inventory, everything, request, wanted, len(pool), why_not)
    taken = best_connected(inventory, pool, wanted)
    return Choice(
        uuids=tuple(d.uuid for d in taken),
        not_taken=tuple(
            NotTaken(label=d.label, uuid=d.uuid, reason=why_not[d.order] or "idle, not needed")
            for d in everything
            if d not in taken
        ),
    )


def within_reach(
    inventory: Inventory, request: GpuRequest, reasons: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the idle GPUs of which a request could take some, if there were more of them.

    Raises:
        InvalidSpecError: The request names GPUs that do not exist, or that cannot be together.
    """
    return tuple(
        d.uuid
        for d in _eligible(devices(inventory), request)
        if not why_unusable(d, {}) and not why_taken(d, reasons)
    )


def _eligible(everything: Sequence[Device], request: GpuRequest) -> list[Device]:
    """Return the devices that the request can mean, whoever uses them now."""
    if request.devices:
        found = [_only(everything, name) for name in request.devices]
        if len(set(found)) < len(found):
            raise InvalidSpecError("A GPU is named twice.")
        if len({d.mig is None for d in found}) > 1:
            raise InvalidSpecError(
                "Full GPUs and MIG devices cannot be together in one environment.",
                hint="Name only GPUs, or only MIG devices.",
            )
        return found
    whole = [d for d in everything if d.mig is None and not d.gpu.mig_enabled]
    # Who counts means GPUs; where all are parted, parts are what there is.
    return whole or [d for d in everything if d.mig is not None]


def _only(everything: Sequence[Device], name: str) -> Device:
    found = named(everything, name)
    if len(found) == 1:
        return found[0]
    if found:
        labels = ", ".join(d.label for d in found)
        raise InvalidSpecError(f"{name} is the beginning of several UUIDs: {labels}.")
    raise InvalidSpecError(
        f"There is no GPU {name} on this machine.", hint="See `jupyter dlenv gpus`."
    )


def _number_wanted(
    request: GpuRequest, eligible: Sequence[Device], unusable: Mapping[tuple[int, int], str]
) -> int:
    if request.all:
        return sum(not unusable[d.order] for d in eligible)
    return len(eligible) if request.devices else request.count


def why_unusable(device: Device, fenced: Mapping[str, str]) -> str:
    """Return why nobody here can use a device, not even shared; nothing if they can."""
    gpu = device.gpu
    if gpu.state is GpuState.LOST:
        return "lost"
    if gpu.state is not GpuState.OK:
        return f"in error: {gpu.error}" if gpu.error else "in error"
    if gpu.mig_enabled and device.mig is None:
        return "in MIG mode"
    return fenced.get(device.uuid, "")


def why_taken(device: Device, reasons: Mapping[str, str]) -> str:
    """Return who or what uses a device; nothing if it is idle."""
    known = reasons.get(device.uuid)
    if known:
        return known
    if device.processes:
        return _users(device)
    if device.memory_used >= BUSY_BYTES:
        return f"{device.memory_used // 1024**2} MiB in use by nobody visible"
    if (device.utilization or 0) >= BUSY_PERCENT:
        # The words in which `leases` finds it, to wait for a moment.
        return f"{device.utilization} % busy"
    return ""


def _users(device: Device) -> str:
    counts = Counter(p.user for p in device.processes)
    parts = [
        f"{count} process{'' if count == 1 else 'es'}{f' of {user}' if user else ''}"
        for user, count in sorted(counts.items())
    ]
    return ", ".join(parts)


def _crowd(device: Device) -> tuple[int, int, int]:
    return (len(device.processes), device.utilization or 0, device.memory_used)


def _too_few(
    inventory: Inventory,
    everything: Sequence[Device],
    request: GpuRequest,
    wanted: int,
    free: int,
    why_not: Mapping[tuple[int, int], str],
) -> NoFreeGpuError:
    if not inventory.gpus:
        return NoFreeGpuError(
            "There is no GPU on this machine.",
            hint="Launch with --gpus 0.",
            detail=inventory.message,
        )
    asked = {d.order for d in _eligible(everything, request)} if request.devices else None
    lines = [
        str(NotTaken(label=d.label, uuid=d.uuid, reason=why_not[d.order] or "idle"))
        for d in everything
        if asked is None or d.order in asked
    ]
    if not wanted:
        message = "No GPU of this machine can be used."
    else:
        message = (
            f"{wanted} GPU{' is' if wanted == 1 else 's are'} wanted, "
            f"{free or 'none'} {'is' if free <= 1 else 'are'} free."
        )
    return NoFreeGpuError(message, detail="\n".join(lines))
