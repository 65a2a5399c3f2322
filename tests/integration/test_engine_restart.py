"""What becomes of kernels when the engine is restarted, as an upgrade of its package does."""

from __future__ import annotations

import asyncio

import pytest
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from rig import ask, engine
from rig.agents import execute, managed_client, until
from rig.images import Images
from rig.profiles import PROFILES

from jupyter_dlenv.errors import DlenvError
from jupyter_dlenv.models import EnvironmentSpec, Status


@pytest.fixture
def engine_name(engine_live):
    main = ask.answering_url()
    Images(engine_live.url, source=Images(main) if main else None).ensure("kernel")
    return engine_live.url


@pytest.fixture
def start(environments, engine_name, configured, jp_asyncio_loop):
    """Return a function that starts a kernel in an environment, as a Jupyter server does."""
    spec = EnvironmentSpec(name="a", image="dlenv-test/kernel")
    launched = jp_asyncio_loop.run_until_complete(environments.launch(spec))
    managers = []

    async def start_one():
        specs = KernelSpecManager(kernel_dirs=[str(environments.kernelspecs.directory)])
        manager = AsyncIOLoopKernelManager(
            kernel_name=launched.kernel_name, kernel_spec_manager=specs
        )
        managers.append(manager)
        await manager.start_kernel()
        return manager

    yield start_one
    for manager in managers:
        jp_asyncio_loop.run_until_complete(manager.shutdown_kernel(now=True))


async def has_status(environments, status):
    for _ in range(300):
        try:
            if (await environments.get("a")).status is status:
                return
        except DlenvError:
            # It is not back yet.
            pass
        await asyncio.sleep(0.1)
    pytest.fail(f"The environment is not {status}.")


@pytest.mark.owned_engine
@pytest.mark.slow
async def test_kernels_outlive_an_engine_that_leaves_them_running(start, environments):
    """Worth its time: only a real engine shows whether an upgrade of Docker ends a training."""
    profile, manager = PROFILES["live"], await start()
    code = "import time\nfor i in range(400): print(i, flush=True); time.sleep(0.01)\nx = 42"
    async with managed_client(manager) as client:
        printing = asyncio.ensure_future(execute(client, code))

        await asyncio.to_thread(engine.restart, profile)

        assert list(range(400)) == [int(line) for line in (await printing).split()]
        assert "42" == await execute(client, "print(x)")
    assert await manager.is_alive()
    await has_status(environments, Status.RUNNING)

    # One that takes its containers along.
    await asyncio.to_thread(engine.restart, profile, **{"live-restore": False})

    await has_status(environments, Status.STOPPED)
    await until(lambda: manager.provisioner.last_exit)
    assert manager.provisioner.last_exit.of_environment
    async with managed_client(await start()) as client:
        assert "NameError" == await execute(client, "x")
    await has_status(environments, Status.RUNNING)
