"""What images are held against: the processor, driver and GPUs of the engine's host."""

from __future__ import annotations

from .engines.base import EngineFacts
from .gpus.inventory import GpuState, Inventory
from .gpus.source import GpuSource
from .images.fit import Host, HostGpu


async def read_host(gpus: GpuSource, engine: EngineFacts) -> Host:
    """Look at the GPUs of the engine's host, if that is this machine."""
    if not engine.local:
        return Host(architecture=engine.architecture)
    return host_of(engine, await gpus.read())


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
