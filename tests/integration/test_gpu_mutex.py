"""The mutex of GPUs, the line, and what processes leave of them that are killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import docker
import pytest
from rig.gpu_host import let_the_engine_have_gpus, said
from rig.images import Images
from rig.nvml import gpu_uuid

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.engines.base import ContainerPlan
from jupyter_dlenv.engines.process import ProcessEngine
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.gpus import mutex
from jupyter_dlenv.gpus.inventory import DriverState
from jupyter_dlenv.gpus.mutex import gpu_mutex
from jupyter_dlenv.gpus.remote import read_remote
from jupyter_dlenv.gpus.source import GpuSource
from jupyter_dlenv.labels import NAME, OWNER, ROLE
from jupyter_dlenv.models import EnvironmentSpec, Phase
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.policy import Policy
from jupyter_dlenv.server.jobs import Jobs
from jupyter_dlenv.server.waiting import new_place, take_over

#: Launches, and says what it waits for; of a project as a server does, which keeps its place.
WAIT = """
import asyncio, sys
from pathlib import Path
from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.gpus.line import PlaceInLine
from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.policy import Policy
from jupyter_dlenv.server.waiting import new_place

engine, owner, image, base, project = sys.argv[1:]
data = Path(base) / "data"

async def main():
    environments = Environments(
        open_engine(engine, data_dir=data), owner=owner, caller=Caller.current(),
        policy=Policy(), data_dir=data, runtime_dir=Path(base) / "run",
    )
    spec = EnvironmentSpec(name="waits", image=image, gpus=GpuRequest(count=2))
    line = new_place(spec, "", project=project) if project else PlaceInLine()
    await environments.launch(spec, report=lambda p: print(p.message, flush=True), line=line)

asyncio.run(main())
"""


async def test_a_mutex_of_a_process_that_was_killed_is_gone_after_the_next_list(
    environments, owner, spec, images_of
):
    script = (
        "import asyncio, sys; from pathlib import Path;"
        "from jupyter_dlenv.engines import open_engine;"
        "from jupyter_dlenv.gpus.mutex import gpu_mutex\n"
        "async def main():\n"
        "    engine = open_engine(sys.argv[1], data_dir=Path(sys.argv[2]))\n"
        "    async with gpu_mutex(engine, image=sys.argv[3], owner=sys.argv[4]):\n"
        "        print('held', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    arguments = [environments.engine.name, images_of, spec.image, owner]
    await asyncio.to_thread(killed_after, "held", [script, *arguments], None)
    assert ["gpu-lock"] == [s.labels[ROLE] for s in await environments.engine.list({OWNER: owner})]

    await environments.list()

    assert () == await environments.engine.list({OWNER: owner})


@pytest.fixture
def images_of(tmp_path):
    return str(tmp_path / "data")


def killed_after(words, arguments, environ):
    """Run a script until it prints some words, and kill it."""
    command = [sys.executable, "-c", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        for line in process.stdout:
            if line.strip() == words:
                break
        else:
            pytest.fail(f"It ended, and never said {words!r}.")
        process.kill()


class LateEngine(ProcessEngine):
    """An engine whose clock is ahead, as if everything were older."""

    async def clock(self):
        return datetime.now(timezone.utc) + timedelta(seconds=31)


async def test_a_mutex_that_somebody_has_left_is_broken_by_the_engines_clock(tmp_path):
    engine = LateEngine(tmp_path)
    left = ContainerPlan(name=mutex.NAME, image="python", command=("true",), labels={OWNER: "b"})
    old = await engine.create(left)

    async with gpu_mutex(engine, image="python", owner="a"):
        (held,) = await engine.list({})

    assert old != held.id
    assert () == await engine.list({})
    await engine.aclose()


async def test_who_was_too_slow_under_the_mutex_is_told_so(tmp_path):
    engine = ProcessEngine(tmp_path)

    async with gpu_mutex(engine, image="python", owner="a") as held:
        assert await held.is_still_ours()
        (state,) = await engine.list({})
        await engine.remove(state.id)
        async with gpu_mutex(engine, image="python", owner="b"):
            assert not await held.is_still_ours()

    assert () == await engine.list({})
    await engine.aclose()


async def test_a_killed_launch_that_waited_is_out_of_line_after_the_next_list(
    on_gpus,
    spec,
    owner,
    driver,
    tmp_path,
):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(all=True)))
    arguments = [WAIT, on_gpus.engine.name, owner, spec.image, str(tmp_path), ""]
    words = "Waiting in line for 2 GPUs: place 1 of 1"
    await asyncio.to_thread(killed_after, words, arguments, driver.environ)

    await on_gpus.list()

    assert ["environment"] == [s.labels[ROLE] for s in await on_gpus.engine.list({OWNER: owner})]


async def test_a_server_goes_on_waiting_where_a_killed_one_has_left_off(
    on_gpus,
    spec,
    owner,
    driver,
    tmp_path,
):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(all=True)))
    arguments = [WAIT, on_gpus.engine.name, owner, spec.image, str(tmp_path), "a/dlenv.toml"]
    words = "Waiting in line for 2 GPUs: place 1 of 1"
    await asyncio.to_thread(killed_after, words, arguments, driver.environ)
    await on_gpus.list()
    jobs = Jobs(lambda: on_gpus, changed=lambda _: None, memory=60)
    projects = []

    def opened(path, spec):
        projects.append(Pinning(path))
        return projects[-1]

    await take_over(lambda: on_gpus, jobs, opened)

    (job,) = jobs.list()
    await until(lambda: job.phase is Phase.WAITING)
    assert ("waits", words) == (job.spec.name, job.progress.message)
    await on_gpus.remove("a")
    await until(lambda: job.phase.ended)
    assert Phase.READY is job.phase, job.error
    assert 2 == len((await on_gpus.get("waits")).gpu_uuids)
    assert [("a/dlenv.toml", [spec.image])] == [(p.path, p.pinned) for p in projects]


class Pinning:
    """A project that says which image it should pin."""

    def __init__(self, path):
        self.path = path
        self.pinned = []

    async def pin(self, environments, launched):
        self.pinned.append(launched)


async def test_a_server_that_stops_leaves_its_place_in_line(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(all=True)))
    jobs = Jobs(lambda: on_gpus, changed=lambda _: None, memory=60)
    wanted = replace(spec, name="waits", gpus=GpuRequest(count=2))
    stopped = jobs.launch(wanted, line=new_place(wanted, ""))
    cancelled = jobs.launch(replace(wanted, name="c"), line=new_place(wanted, ""))
    await until(lambda: {stopped.phase, cancelled.phase} == {Phase.WAITING})
    jobs.cancel(cancelled.id)

    await jobs.aclose()

    (left,) = await on_gpus.engine.list({OWNER: owner, ROLE: "gpu-ticket"})
    assert "waits" == left.labels[NAME]
    await on_gpus.engine.remove(left.id)


async def until(condition):
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("It did not come true in 30 s.")


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_gpus_of_another_machine_are_seen_through_a_container(
    environments, owner, docker_engine_url
):
    let_the_engine_have_gpus(docker_engine_url)

    inventory = await read_remote(environments.engine, owner=owner, image="dlenv-test/kernel")

    assert [gpu_uuid(n) for n in range(8)] == [g.uuid for g in inventory.gpus], inventory.message
    assert () == await environments.engine.list({OWNER: owner})


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_jupyter_in_a_container_sees_the_gpus_that_the_engine_has(
    environments, images, owner, docker_engine_url
):
    let_the_engine_have_gpus(docker_engine_url)
    image = images.ensure("kernel")
    # This machine has no driver, as such a container.
    inside = GpuSource(environments.engine, owner=owner, contained=True)
    outside = GpuSource(environments.engine, owner=owner, contained=False)

    seen_inside, seen_outside = await inside.read(image=image), await outside.read(image=image)

    await inside.aclose()
    await outside.aclose()
    assert [gpu_uuid(n) for n in range(8)] == [g.uuid for g in seen_inside.gpus]
    assert DriverState.MISSING is seen_outside.driver_state


@pytest.mark.slow
async def test_without_gpus_none_is_visible_where_nvidias_runtime_is_the_default(
    engine_like_29, images, owner, tmp_path
):
    """Worth its time: such engines are common, and NGC's images ask for all GPUs there."""
    there = Images(engine_like_29.url, source=images)
    image = await asyncio.to_thread(there.ensure, "ngc")
    engine = open_engine(engine_like_29.url, data_dir=tmp_path)
    environments = Environments(
        engine,
        owner=owner,
        caller=Caller.current(),
        policy=Policy(),
        data_dir=tmp_path / "data",
        runtime_dir=tmp_path / "run",
    )
    client = docker.DockerClient(base_url=engine_like_29.url)
    try:
        stranger = await asyncio.to_thread(
            client.containers.run, image, ["env"], network_mode="none", remove=False
        )
        await environments.launch(EnvironmentSpec(name="a", image=image))
        text = await said(environments, "a", "env")
    finally:
        for environment in await environments.list():
            await environments.remove(environment.name)
        await asyncio.to_thread(client.containers.prune)
        client.close()
        await environments.aclose()

    # What the image alone gets there.
    assert b"PRETENDED_SEES=all" in stranger
    assert "NVIDIA_VISIBLE_DEVICES=void" in text
    assert "PRETENDED_SEES" not in text
