"""What only the process engine promises: it outlives its starters, and says what it cannot do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.engines.base import FileToPut, SupportsImages
from jupyter_dlenv.errors import CapabilityMissingError, ContainerNameTakenError
from jupyter_dlenv.models import PortMapping

from .waiting import read_all, until, until_exited


@pytest.fixture
def engine_kind():
    return "process"


def test_it_runs_no_images(engine):
    assert not isinstance(engine, SupportsImages)


@pytest.mark.parametrize(
    "changes",
    [
        {"ports": (PortMapping(container_port=80),)},
        {"files": (FileToPut(path="/etc/file", content=b""),)},
    ],
    ids=["ports", "files"],
)
async def test_what_cannot_be_ignored_in_good_faith_is_refused(engine, plan, changes):
    with pytest.raises(CapabilityMissingError):
        await engine.create(plan(**changes))
    with pytest.raises(CapabilityMissingError):
        await engine.run(plan("true", **changes), timeout=10)


async def test_a_process_does_not_see_our_secrets(engine, running, monkeypatch):
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    monkeypatch.setenv("LC_TIME", "C.UTF-8")
    container_id = await running("env")
    await until_exited(engine, container_id)
    log = b"".join([chunk async for chunk in engine.logs(container_id)]).decode().splitlines()
    assert "LC_TIME=C.UTF-8" in log
    assert "CUDA_VISIBLE_DEVICES=" in log
    assert not [line for line in log if "secret" in line]


async def test_another_process_sees_the_same_containers(engine, running, plan, tmp_path):
    container_id = await running(name="contract-shared")
    other = open_engine("process", data_dir=tmp_path)
    assert (await other.inspect("contract-shared")).id == container_id
    with pytest.raises(ContainerNameTakenError):
        await other.create(plan(name="contract-shared"))
    await other.stop(container_id)
    assert (await engine.inspect(container_id)).exit_code == 143
    assert (await other.probe()).id == (await engine.probe()).id
    await other.aclose()


async def test_a_container_outlives_the_process_that_started_it(engine, tmp_path, test_labels):
    code = (
        "import asyncio, pathlib, sys, time\n"
        "from jupyter_dlenv.engines import open_engine\n"
        "from jupyter_dlenv.engines.base import ContainerPlan\n"
        f"engine = open_engine('process', data_dir=pathlib.Path({str(tmp_path)!r}))\n"
        f"plan = ContainerPlan(name='contract-orphan', image='', labels={test_labels!r},\n"
        "    command=('/bin/sh', '-c', 'sleep 1000; exit 1'))\n"
        "async def main(): await engine.start(await engine.create(plan))\n"
        "asyncio.run(main())\n"
        "print('started', flush=True)\n"
        "time.sleep(1000)\n"
    )
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, start_new_session=True
    )
    assert await asyncio.wait_for(starter.stdout.readline(), 30) == b"started\n"
    os.killpg(starter.pid, signal.SIGKILL)
    await starter.wait()
    state = await engine.inspect("contract-orphan")
    assert state.state == "running"
    await engine.stop(state.id)
    assert (await engine.inspect(state.id)).exit_code == 143


async def test_nothing_of_a_container_is_left_when_it_ends(engine, running):
    script = "setsid sleep 1234 & (setsid sleep 1234 &); sleep 0.5"
    container_id = await running(script)
    stream = await engine.open_stream(container_id, ("sleep", "1234"))
    await until_exited(engine, container_id)
    assert _processes_of(container_id) == []
    assert await read_all(stream) == (b"", b"")
    assert await stream.wait() == 137
    await stream.aclose()


async def test_the_end_is_seen_although_the_supervisor_was_killed(engine, running):
    container_id = await running()
    main = next(p for p in _processes_of(container_id) if p.cmdline()[0] == "/bin/sh")
    main.parent().kill()
    assert (await engine.inspect(container_id)).state == "running"
    await engine.stop(container_id)
    state = await engine.inspect(container_id)
    assert (state.state, state.exit_code) == ("exited", None)


async def test_variables_of_a_container_are_private(engine, plan, tmp_path):
    container_id = await engine.create(plan(env={"PASSWORD": "secret"}))
    record = tmp_path / "process" / container_id / "container.json"
    assert "secret" in record.read_text()
    assert record.stat().st_mode & 0o077 == 0
    assert record.parent.stat().st_mode & 0o077 == 0


async def test_a_restarted_container_is_not_taken_for_its_last_run(engine, running):
    container_id = await running("sleep 0.2; exit 5")
    await until_exited(engine, container_id)
    await engine.start(container_id)
    assert (await engine.inspect(container_id)).state == "running"

    async def ended_again():
        return (await engine.inspect(container_id)).exit_code == 5

    await until(ended_again)


def _processes_of(container_id):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DLENV_CONTAINER") == container_id:
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_what_happens_right_after_events_were_asked_for_is_not_lost(engine, plan):
    # So many that the first look at all of them takes far longer than one change.
    containers = [await engine.create(plan()) for _ in range(150)]
    last = max(containers)

    events = engine.events()
    await engine.remove(last)

    event = await asyncio.wait_for(anext(events), 10)
    assert (event.container_id, event.action) == (last, "destroy")
    await events.aclose()
