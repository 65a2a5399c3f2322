"""What images are held against: the processor, driver and GPUs of the engine's host."""

from __future__ import annotations

import asyncio

from .engines.base import EngineFacts
from .gpus.inventory import GpuState, Inventory
from .gpus.source import GpuSource
from .images.fit import Host, HostGpu

#: Longer than a look takes anywhere, and than anybody likes to wait for a sheet.
_SECONDS = 12.0


async def read_host(gpus: GpuSource, engine: EngineFacts) -> Host:
    """Look at the GPUs of the engine's host, wherever that is; what hangs is not waited for."""
    unknown = Host(architecture=engine.architecture)
    if not (engine.local or engine.gpu_runtime):
        # Looking at another machine takes a container, in vain where it can have no GPUs.
        return unknown
    try:
        return host_of(engine, await asyncio.wait_for(gpus.read(), _SECONDS))
    except asyncio.TimeoutError:
        return unknown


def host_of(engine: EngineFacts, inventory: Inventory) -> Host:
    """Return what counts of a host for images; GPUs that do not answer are left out."""
    return Host(
        architecture=engine.architecture,
        driver=inventory.driver_version,
        cuda=".".join(map(str, inventory.cuda_version or ())),
        gpus=tuple(
            HostGpu(name=g.name, capability=".".join(map(str, g.compute_capability or ())))
            for g in inventory.gpus
            if g.state is GpuState.OK
        ),
    )
