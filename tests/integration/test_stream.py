"""Kernels that are reached over a stream of the engine feel as all others do.

``DLENV_TEST_STREAMED=1 pytest tests/integration -k docker`` runs every test of kernels so.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import docker
import psutil
import pytest
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from rig.agents import execute, managed_client, until

from jupyter_dlenv.access.relay import Place, Port

pytestmark = pytest.mark.parametrize("engine_name", ["docker"], indirect=True)


@pytest.fixture
def environments(open_environments):
    return open_environments(streamed=True)


@pytest.fixture
def environment(environments, spec, configured, jp_asyncio_loop):
    return jp_asyncio_loop.run_until_complete(environments.launch(spec))


@pytest.fixture
def manager(environments, environment, engine_name, monkeypatch, jp_asyncio_loop):
    monkeypatch.setenv("DLENV_ENGINE", engine_name)
    specs = KernelSpecManager(kernel_dirs=[str(environments.kernelspecs.directory)])
    manager = AsyncIOLoopKernelManager(
        kernel_name=environment.kernel_name, kernel_spec_manager=specs
    )
    jp_asyncio_loop.run_until_complete(manager.start_kernel())
    yield manager
    jp_asyncio_loop.run_until_complete(manager.shutdown_kernel(now=True))


def stream_inside(environment):
    """Return the process that the engine runs for the stream, as this machine sees it."""
    container = docker.from_env().containers.get(environment.container_id)
    pids = [int(line[1]) for line in container.top()["Processes"] if "--stream" in line[-1]]
    return pids[0] if pids else None


def sockets_of(environment):
    return list(Path(environment.runtime_dir).iterdir())


def tunnel_of(environment):
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if environment.container_id in words and "jupyter_dlenv.tunnel" in words:
            return process
    return None


async def test_a_kernel_survives_the_end_of_its_stream_and_of_what_carries_it(
    manager, environment, environments
):
    async with managed_client(manager) as client:
        assert "42" == await execute(client, "x = 42; print(x)")
        numbers = "import time\nfor i in range(300): print(i, flush=True); time.sleep(0.01)"
        printing = asyncio.ensure_future(execute(client, numbers))
        for _ in range(2):
            await until(lambda: stream_inside(environment))
            os.kill(gone := stream_inside(environment), signal.SIGKILL)
            await until(lambda: stream_inside(environment) not in (None, gone))

        assert list(range(300)) == [int(line) for line in (await printing).split()]

    tunnel_of(environment).kill()

    async with managed_client(manager) as client:
        assert "42" == await execute(client, "print(x)")
    assert await manager.is_alive()
    # A reply to whoever asked before is not promised here: who carried it is gone.
    sleeping = "import time; time.sleep(60)"
    async with managed_client(manager) as client:
        cell = asyncio.ensure_future(execute(client, sleeping))
        await until_interrupted(manager, cell)
        assert "KeyboardInterrupt" in await cell


async def test_restart_death_ports_and_the_end_of_the_environment(
    manager, environment, environments
):
    container = docker.from_env().containers.get(environment.container_id)
    assert not [m for m in container.attrs["Mounts"] if m["Type"] == "bind"]
    # Keys of SSH are there, which no image that is made of it may have.
    assert not [c["Path"] for c in container.diff() if c["Path"].startswith("/run/dlenv/")]
    async with managed_client(manager) as client:
        await execute(client, "x = 1")
        await manager.restart_kernel(now=True)
    serve = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
    async with managed_client(manager) as client:
        assert "NameError" == await execute(client, "x")
        port = int(await execute(client, serve))
        with await environments.relay.connect(Place.of(environment), Port(port)):
            client.execute("import os; os._exit(3)")
            await until(lambda: manager.provisioner.last_exit)
    assert 3 == manager.provisioner.last_exit.exit_code

    await environments.stop("a")

    await until(lambda: tunnel_of(environment) is None)
    assert [] == sockets_of(environment)


async def until_interrupted(manager, cell):
    """Interrupt again and again: the first may come before the cell has begun."""
    while not cell.done():
        await manager.interrupt_kernel()
        await asyncio.wait([cell], timeout=0.3)
