"""All that is known of the GPUs at one moment, also where the engine cannot be asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .environments import Environments
from .errors import EngineError
from .gpus.fence import fence
from .gpus.holders import Holders
from .gpus.inventory import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuView:
    """The GPUs, who holds them, and which are not given to environments.

    Attributes:
        fenced: Why not, by UUID, in words.
    """

    inventory: Inventory
    holders: Holders
    fenced: Mapping[str, str]


async def see_gpus(environments: Environments) -> GpuView:
    """Look at the GPUs of the engine's machine; without an engine, at those of this one."""
    try:
        inventory = await environments.gpus.read()
        return GpuView(
            inventory=inventory,
            holders=await environments.leases.holders(inventory),
            fenced=await environments.gpus.fenced(inventory),
        )
    except EngineError:
        # Without an engine there are no leases.
        inventory = await environments.gpus.read_here()
        return GpuView(inventory=inventory, holders=Holders(), fenced=fence(inventory, os.environ))
