"""Jupyter's own kernel manager with kernels in environments: the traps that it sets."""

from __future__ import annotations

import asyncio
import json
import queue
import signal
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from rig import agents
from rig.agents import execute, until

from jupyter_dlenv.errors import KernelStartError
from jupyter_dlenv.kernels.link import AgentLink
from jupyter_dlenv.models import Mount, Status
from jupyter_dlenv.plan import Caller

#: For what is no matter of the engine; the quick one stands for both.
any_engine = pytest.mark.parametrize("engine_name", ["process"], indirect=True)
only_docker = pytest.mark.parametrize("engine_name", ["docker"], indirect=True)


@pytest.fixture
def work(tmp_path):
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.fixture
def target(work, engine_name):
    """Name where the work directory is seen inside: elsewhere, if there is an elsewhere."""
    return "/elsewhere" if engine_name == "docker" else str(work)


@pytest.fixture
def shm_size(spec):
    return spec.shm_size


@pytest.fixture
def environment(environments, spec, shm_size, configured, work, target, jp_asyncio_loop):
    mounts = (Mount(source=str(work), target=target),)
    wanted = replace(spec, mounts=mounts, workdir=target, shm_size=shm_size)
    return jp_asyncio_loop.run_until_complete(environments.launch(wanted))


@pytest.fixture
def new_manager(environments, environment, engine_name, monkeypatch, jp_asyncio_loop):
    """Return a function that makes kernel managers as a Jupyter server does."""
    monkeypatch.setenv("DLENV_ENGINE", engine_name)
    made = []

    def make():
        specs = KernelSpecManager(kernel_dirs=[str(environments.kernelspecs.directory)])
        manager = AsyncIOLoopKernelManager(
            kernel_name=environment.kernel_name, kernel_spec_manager=specs
        )
        made.append(manager)
        return manager

    async def close():
        for manager in made:
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)
            else:
                # A manager that becomes garbage with an open socket stops the whole process:
                # its context then waits for ever for the socket to be closed.
                await manager.cleanup_resources()

    yield make
    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def manager(new_manager):
    return new_manager()


@asynccontextmanager
async def client_of(manager):
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        yield client
    finally:
        client.stop_channels()


async def ask(manager, code):
    async with client_of(manager) as client:
        return await execute(client, code)


async def hears_again(client):
    """Wait until a client is connected anew; ZeroMQ drops what was published before that.

    What the kernel before published on its way out may still be on its way to the client.
    """
    asked = set()
    for _ in range(120):
        asked.add(client.kernel_info())
        with suppress(queue.Empty):
            while True:
                message = await client.get_iopub_msg(timeout=0.5)
                if message["parent_header"].get("msg_id") in asked:
                    return
    pytest.fail("The client heard nothing of the restarted kernel for a minute.")


async def running_kernels(environment):
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)
    try:
        return [k["pid"] for k in await link.kernels() if k["exit_code"] is None]
    finally:
        await link.aclose()


async def dead(manager):
    await until(lambda: manager.provisioner._ended is not None)
    assert not await manager.is_alive()


@asynccontextmanager
async def unreachable(environment, manager=None):
    """Let somebody else answer at the agent's socket, who hangs up at once."""
    path = Path(environment.runtime_dir) / "agent.sock"
    hidden = path.with_suffix(".hidden")
    path.rename(hidden)
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), str(path))
    try:
        async with server:
            if manager is not None:
                manager.provisioner._link._writer.close()
            yield
    finally:
        path.unlink(missing_ok=True)
        hidden.rename(path)


async def test_a_shutdown_ends_the_kernel_and_does_not_wait_any_longer(manager, environment):
    await manager.start_kernel()
    assert "42" == await ask(manager, "print(6 * 7)")
    # A kernel that is asked to end takes seconds for it where the disk is busy.
    manager.shutdown_wait_time = 120
    provisioner = manager.provisioner
    started = asyncio.get_running_loop().time()

    await manager.shutdown_kernel()

    assert asyncio.get_running_loop().time() - started < manager.shutdown_wait_time / 2
    # It has ended by itself, and no signal has ended it.
    assert 0 == await provisioner.poll()
    assert not manager.has_kernel
    assert [] == await running_kernels(environment)


@pytest.mark.parametrize("now", [True, False])
async def test_a_restart_is_a_new_process_in_the_same_environment_for_the_same_clients(
    manager, environments, environment, now
):
    await manager.start_kernel()
    async with client_of(manager) as client:
        first = await execute(client, "import os; print(os.getpid())")
        await manager.restart_kernel(now=now)
        await hears_again(client)
        second = await execute(client, "import os; print(os.getpid())")

    assert first != second
    assert [int(second)] == await running_kernels(environment)
    assert environment.started == (await environments.get("a")).started


@any_engine
async def test_new_ports_after_an_early_death_do_no_harm(manager):
    await manager.start_kernel()

    await manager.restart_kernel(now=True, newports=True)

    assert "42" == await ask(manager, "print(6 * 7)")


@any_engine
async def test_kernels_share_neither_keys_nor_sockets(manager, new_manager):
    other = new_manager()
    await manager.start_kernel()
    await other.start_kernel()

    one, two = (m.provisioner.connection_info for m in (manager, other))

    assert one["key"] != two["key"]
    assert one["ip"] != two["ip"]
    assert isinstance(one["key"], bytes)


async def test_an_interrupt_ends_a_cell(manager, work):
    await manager.start_kernel()
    async with client_of(manager) as client:
        code = "import time; open('begun', 'w').close(); time.sleep(60)"
        cell = asyncio.ensure_future(execute(client, code))
        await until((work / "begun").exists)
        await manager.interrupt_kernel()

        assert "KeyboardInterrupt" in await asyncio.wait_for(cell, 10)


async def test_the_exit_code_is_the_processs_own(manager):
    await manager.start_kernel()
    async with client_of(manager) as client:
        client.execute("import os; os._exit(7)")

        assert 7 == await asyncio.wait_for(manager.provisioner.wait(), 10)


@any_engine
async def test_a_kernel_that_crashed_is_started_again(manager):
    await manager.start_kernel()
    async with client_of(manager) as client:
        first = await execute(client, "import os; print(os.getpid())")
        client.execute("import os; os._exit(7)")

        # Long before the restarter would have looked.
        await until(lambda: manager.provisioner.last_exit is not None, limit=1)
        await hears_again(client)

        assert 7 == manager.provisioner.last_exit.exit_code
        assert first != await execute(client, "import os; print(os.getpid())")


@only_docker
async def test_a_kernel_that_used_up_the_memory_says_so(manager, environment, docker_engine_url):
    await manager.start_kernel()
    with closing(docker.DockerClient(base_url=docker_engine_url)) as engine:
        container = engine.containers.get(environment.container_id)
        await asyncio.to_thread(container.update, mem_limit="300m", memswap_limit="300m")

    async with client_of(manager) as client:
        client.execute("x = b'x' * 10**9")
        await until(lambda: manager.provisioner.last_exit is not None)

    assert "out-of-memory" == manager.provisioner.last_exit.cause


@only_docker
@pytest.mark.parametrize("shm_size", [64 * 1024**2])
async def test_a_kernel_that_used_up_the_shared_memory_says_so(manager, shm_size):
    await manager.start_kernel()

    async with client_of(manager) as client:
        code = (
            "import mmap; f = open('/dev/shm/x', 'w+b'); f.truncate(10**8)\n"
            "m = mmap.mmap(f.fileno(), 0)\nfor i in range(0, 10**8, 4096): m[i] = 1"
        )
        client.execute(code)
        await until(lambda: manager.provisioner.last_exit is not None)

    assert "shared-memory-full" == manager.provisioner.last_exit.cause
    assert "64 MB" in manager.provisioner.last_exit.message


@any_engine
async def test_a_poll_waits_for_nothing_so_no_shutdown_can_fall_into_it(manager):
    await manager.start_kernel()

    with pytest.raises(StopIteration) as finished:
        manager.provisioner.poll().send(None)

    assert finished.value.value is None


@any_engine
async def test_a_kernel_that_was_shut_down_is_not_started_by_a_late_restarter(manager, environment):
    await manager.start_kernel()
    await manager.shutdown_kernel(now=True)

    with pytest.raises(KernelStartError, match="shut down"):
        await manager.restart_kernel(now=True)

    assert [] == await running_kernels(environment)


@any_engine
async def test_a_start_that_is_cancelled_leaves_no_kernel(manager, environment):
    starting = asyncio.ensure_future(manager.start_kernel())
    directory = Path(environment.runtime_dir)
    await until(lambda: list(directory.glob("k-*.json")) or starting.done())

    starting.cancel()
    await asyncio.wait([starting])

    await until(lambda: not list(directory.glob("k-*-*")))
    assert [] == await running_kernels(environment)


@any_engine
async def test_unreachable_is_not_dead(manager, environment):
    await manager.start_kernel()

    async with unreachable(environment, manager):
        await until(manager.provisioner._link.closed.done)
        assert await manager.is_alive()
        # None of these may raise: it would keep a kernel from being shut down.
        await manager.signal_kernel(signal.SIGINT)
        await manager.provisioner.terminate()
    link_lost = manager.provisioner._link
    await until(lambda: manager.provisioner._link is not link_lost)

    assert await manager.is_alive()
    assert "42" == await ask(manager, "print(6 * 7)")


async def test_a_kernel_is_dead_once_its_environment_has_stopped(manager, environments):
    await manager.start_kernel()

    given_up = []
    manager.add_restart_callback(lambda: given_up.append(True), "dead")

    await environments.stop("a")

    await until(lambda: given_up)
    assert "environment-stopped" == manager.provisioner.last_exit.cause
    # Whoever stopped it did not want it to be started by a restart.
    assert Status.STOPPED is (await environments.get("a")).status
    assert not await manager.is_alive()
    await manager.shutdown_kernel()


async def test_a_kernel_starts_the_environment_that_has_stopped(manager, environments):
    await environments.stop("a")

    await manager.start_kernel()

    assert "42" == await ask(manager, "print(6 * 7)")


@any_engine
async def test_a_removed_environment_is_named_in_the_error(manager, environments, environment):
    _ = manager.kernel_spec
    await environments.remove("a")

    with pytest.raises(KernelStartError, match="no environment 'a'"):
        await manager.start_kernel()


@any_engine
async def test_an_agent_that_does_not_answer_is_reported_with_what_to_do(manager, environment):
    async with unreachable(environment):
        with pytest.raises(KernelStartError, match="jupyter dlenv restart"):
            await manager.start_kernel()


async def test_nothing_of_the_servers_environment_reaches_the_kernel_but_what_is_allowed(
    manager, work, target, monkeypatch
):
    server = {
        "AWS_SECRET_ACCESS_KEY": "secret",
        "LD_LIBRARY_PATH": "/server/lib",
        "PYTHONSTARTUP": "/server/startup",
        "CUDA_VISIBLE_DEVICES": "3",
        "JPY_PARENT_PID": "1",
        "HOME": "/server/home",
        "KERNEL_FLAVOUR": "vanilla",
        "LC_TIME": "C.UTF-8",
        "JPY_SESSION_NAME": str(work / "sub/a.ipynb"),
    }
    (work / "sub").mkdir()

    await manager.start_kernel(env=server, cwd=str(work / "sub"))
    code = "import os, json; print(json.dumps({**os.environ, 'cwd': os.getcwd()}))"
    seen = json.loads(await ask(manager, code))

    passed_on = {name: seen[name] for name in server if seen.get(name, "") == server[name]}
    assert {"KERNEL_FLAVOUR": "vanilla", "LC_TIME": "C.UTF-8"} == {
        name: value for name, value in passed_on.items() if name != "JPY_SESSION_NAME"
    }
    assert f"{target}/sub/a.ipynb" == seen["JPY_SESSION_NAME"]
    assert f"{target}/sub" == seen["cwd"]
    assert "JPY_PARENT_PID" not in seen


async def test_a_path_in_a_traceback_is_found_on_the_host(manager, work, target):
    await manager.start_kernel(cwd=str(work))
    resolve = manager.provisioner.resolve_path

    assert str(work / "a.py") == resolve(f"{target}/a.py")
    assert str(work / "a.py") == resolve("a.py")
    assert resolve("/usr/lib/python3/dist-packages/x.py") is None
    assert resolve(f"{target}/../etc/passwd") is None


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_kernel_of_an_ordinary_user_has_a_name_a_home_and_no_way_back_to_root(
    docker_environments, spec
):
    environments = docker_environments(caller=Caller(uid=1234, gid=1234, name="alice"))
    environment = await environments.launch(spec)
    directory = Path(environment.runtime_dir)
    link = await AgentLink.connect(directory, timeout=5)
    kernel = await link.start_kernel("k", key=agents.KEY, env={}, cwd="")

    async with agents.client_of(directory, kernel) as client:
        code = "import getpass, os, pathlib; (pathlib.Path.home() / 'x').touch(); "
        seen = await execute(client, code + "print(getpass.getuser(), os.getuid(), os.getgroups())")
        error = await execute(client, "os.setuid(0)")
    await link.aclose()

    assert "alice 1234 [1234]" == seen
    assert "PermissionError" == error
