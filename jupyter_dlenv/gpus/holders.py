"""Who holds which GPU, in words: environments of all owners, and everybody else's containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..engines.base import ContainerState
from ..engines.gpu_claims import GpuClaim
from ..labels import LAUNCHER, NAME, OWNER, ROLE, gpus_of
from ..launcher import is_alive
from .devices import Device, devices, named
from .inventory import Inventory

ENVIRONMENT = "environment"
#: Holds the GPUs of a stopped environment while that starts.
HOLD = "gpu-hold"
_HOLDING = frozenset({ENVIRONMENT, HOLD})
#: A launch starts its container at once; where it cannot be asked whether it still lives,
#: this is how long it is believed.
_UNSTARTED = timedelta(seconds=60)
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who holds which GPU or MIG device.

    Attributes:
        by_uuid: In words.
        everywhere: Who sees all GPUs, and may use none of them, in words.
    """

    by_uuid: Mapping[str, str] = field(default_factory=dict)
    everywhere: tuple[str, ...] = ()


def find_holders(
    claims: Iterable[GpuClaim],
    inventory: Inventory,
    *,
    now: datetime,
) -> Holders:
    """Return who holds what.

    Args:
        now: By the engine's clock.
    """
    everything = devices(inventory)
    by_uuid: dict[str, str] = {}
    everywhere = []
    for claim in claims:
        state = claim.state
        if not is_held(claim, now):
            continue
        who = _words(state)
        if claim.everything:
            everywhere.append(who)
        for uuid in _uuids(claim, everything):
            by_uuid.setdefault(uuid, who)
    return Holders(by_uuid=by_uuid, everywhere=tuple(everywhere))


def is_held(claim: GpuClaim, now: datetime) -> bool:
    """Tell whether a container uses what it claims, or is about to."""
    state = claim.state
    role = state.labels.get(ROLE)
    if role is not None and role not in _HOLDING:
        return False
    if state.state == "running":
        return True
    # One that could not be started stays as it is until its launch has removed it.
    if state.state != "created" or role is None or state.error:
        return False
    made = datetime.fromisoformat(state.created.replace("Z", "+00:00"))
    return now - made < _UNSTARTED or is_alive(
        state.labels.get(LAUNCHER, ""), created=state.created
    )


def _uuids(claim: GpuClaim, everything: tuple[Device, ...]) -> set[str]:
    found = set(gpus_of(claim.state.labels)) if ROLE in claim.state.labels else set()
    devices_meant = [d for name in claim.devices for d in named(everything, name)]
    devices_meant += [
        d
        for d in everything
        if d.mig is None and d.gpu.minor is not None and d.gpu.minor in claim.minors
    ]
    for device in devices_meant:
        found.add(device.uuid)
        # Whoever has a GPU has its parts.
        if device.mig is None:
            found.update(mig.uuid for mig in device.gpu.mig_devices)
    return found - {""}


def _words(state: ContainerState) -> str:
    name = state.labels.get(NAME, "")
    if ROLE not in state.labels or not name:
        return f"container {state.name[:_LONGEST_NAME]}"
    owner = state.labels.get(OWNER, "somebody")
    return f"environment {name[:_LONGEST_NAME]} of {owner[:_LONGEST_NAME]}"
