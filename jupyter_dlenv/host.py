"""What images are held against: the processor, driver and GPUs of the engine's host."""

from __future__ import annotations

from .engines.base import EngineFacts
from .gpus.inventory import GpuState, Inventory
from .images.fit import Host, HostGpu


async def read_host(engine: EngineFacts) -> Host:
    """Look at the GPUs of this machine, if they are the engine's too."""
    if not engine.local:
        return Host(architecture=engine.architecture)
    # Imported here: nobody loads the driver's library who does not look.
    from .gpus.look import look  # noqa: PLC0415

    return host_of(engine, await look())


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
