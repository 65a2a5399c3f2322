"""An environment that nobody uses stops by itself; one that is used does not."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from rig import agents
from rig.agents import KEY, client_of, execute

from jupyter_dlenv.errors import NotAllowedError
from jupyter_dlenv.idle import idle_time
from jupyter_dlenv.models import IDLE_EXIT, Status
from jupyter_dlenv.policy import Policy

#: Starts a shell on a terminal of its own, and a service that says nothing.
_OPEN = """
import os, pty, socket, threading
shell, terminal = pty.fork()
if shell == 0:
    os.execvp("cat", ["cat"])
service = socket.create_server(("127.0.0.1", 0))
accepted = []
threading.Thread(target=lambda: accepted.append(service.accept())).start()
print(service.getsockname()[1])
"""
#: A terminal's own clock is coarse.
_TYPE = """
import time
def type_for_a_while():
    for _ in range(100):
        os.write(terminal, b"x\\n")
        time.sleep(0.1)
threading.Thread(target=type_for_a_while).start()
"""


@pytest.fixture
def agent(tmp_path):
    with agents.running(tmp_path / "s", tmp_path / "home") as running:
        yield running


async def start(link):
    return await link.start_kernel("k", key=KEY, env={}, cwd="")


async def test_a_busy_kernel_keeps_an_environment_and_what_is_only_open_does_not(agent):
    link = await agent.link()
    warned = []
    link.on_idle = warned.append
    kernel = await start(link)
    async with client_of(agent.directory, kernel) as client:
        port = int(await execute(client, _OPEN))
        with socket.create_connection(("127.0.0.1", port)):
            await link.stop_when_idle(1.5, own_system=False)

            assert "here" == await execute(client, "import time; time.sleep(3); print('here')")
            assert agent.process.poll() is None
            assert not warned
            ended = await asyncio.wait_for(link.exited("k"), 10)

    assert IDLE_EXIT == await agent.ended()
    assert ("idle", True) == (ended.reason, ended.stopping)
    assert 1 == len(warned)
    assert 0 < warned[0] < 0.5
    await link.aclose()


async def test_typing_traffic_and_computing_are_uses_and_are_told_apart(agent):
    link = await agent.link()
    await link.stop_when_idle(600, own_system=False)
    kernel = await start(link)
    async with client_of(agent.directory, kernel) as client:
        port = int(await execute(client, _OPEN))

        with socket.create_connection(("127.0.0.1", port)) as connected:
            connected.sendall(bytes(100_000))
            await _until_last_use(link, "connection")
        await execute(client, "import subprocess; p = subprocess.Popen(['yes'], stdout=-3)")
        await _until_last_use(link, "process")
        await execute(client, f"p.kill()\n{_TYPE}")
        await _until_last_use(link, "terminal")
    await link.aclose()


async def _until_last_use(link, wanted):
    for _ in range(200):
        if (await link.idle_time()).last_use == wanted:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{wanted} was not noticed")


async def test_an_environment_stops_by_itself_and_starts_again(environments, spec):
    launched = await environments.launch(replace(spec, idle_stop=0.02))

    for _ in range(200):
        stopped = await environments.get("a")
        if stopped.status is Status.STOPPED:
            break
        await asyncio.sleep(0.1)

    assert (Status.STOPPED, IDLE_EXIT) == (stopped.status, stopped.exit_code)
    assert 0.02 == launched.spec.idle_stop
    assert Status.RUNNING is (await environments.start("a")).status


async def test_a_limit_of_the_administrator_holds_for_who_asked_for_none(open_environments, spec):
    environments = open_environments(policy=Policy(max_idle_minutes=30), idle_stop=60)
    launched = await environments.launch(spec)

    idle = await idle_time(launched)

    assert 29 * 60 < idle.left <= 30 * 60
    with pytest.raises(NotAllowedError, match="max_idle_minutes"):
        await environments.launch(replace(spec, name="b", idle_stop=0))
