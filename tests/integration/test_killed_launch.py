"""What a process leaves that is killed while it launches, the next ``list`` removes."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import uuid

import docker
import pytest
from rig.shell import until

from jupyter_dlenv.labels import OWNER
from jupyter_dlenv.models import EnvironmentSpec

ROUNDS = 20
PHASES = ("queued", "pulling", "preparing", "creating", "starting")

#: Launches, and says each phase on stdout; a line on stdin lets it go on.
LAUNCH = """
import asyncio, os, sys
from pathlib import Path
from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.labels import OWNER
from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.policy import Policy

owner, image, base = sys.argv[1:]
data = Path(base) / "data"

async def main():
    environments = Environments(
        open_engine("docker", data_dir=data), owner=owner, caller=Caller.current(),
        policy=Policy(), data_dir=data, runtime_dir=Path(base) / "run",
    )
    spec = EnvironmentSpec(name="a", image=image)
    await environments.launch(spec, report=lambda p: print(p.phase.value, flush=True))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_launch_killed_in_any_phase_leaves_nothing(
    environments, owner, images, docker_engine_url, fresh_image, tmp_path
):
    """Worth its time: orphans that hold GPUs are what users of every peer complain about."""
    # One to which a kernel must be added, and one for the phases after that.
    bare, complete = images.ensure("python"), images.ensure("kernel")
    client = docker.DockerClient(base_url=docker_engine_url)
    before = await asyncio.to_thread(everything_but_others, client, owner)
    for number, phase in zip(range(ROUNDS), itertools.cycle(PHASES), strict=False):
        base = complete if phase in ("creating", "starting") else bare
        # A new image each time, so that there is something to prepare.
        image = await asyncio.to_thread(fresh_image, base)
        await asyncio.to_thread(launch_and_kill, phase, number, (owner, image, str(tmp_path)))

        assert () == await environments.list(), f"round {number}, {phase}"
        # A build ends with its client, and the engine takes a moment to remove its container.
        await asyncio.to_thread(no_more_than, client, owner, before, f"round {number}, {phase}")
        assert [] == list((tmp_path / "run").glob("*")), f"round {number}, {phase}"
    await environments.launch(EnvironmentSpec(name="a", image="dlenv-test/kernel"))


def launch_and_kill(phase, number, arguments):
    command = [sys.executable, "-c", LAUNCH, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            # Even rounds die at the first moment of the phase, odd ones at the report after it.
            # After the last phase there is none: the launch is complete.
            at_once = number % 2 == 0 or phase == PHASES[-1]
            if line.strip() == phase and (at_once or next(process.stdout, "")):
                break
        process.kill()


def no_more_than(client, owner, before, where):
    for _ in until(60, f"an engine without what was not there before: {where}"):
        # Less is there when somebody else's build has ended meanwhile.
        if everything_but_others(client, owner) <= before:
            return


def everything_but_others(client, owner):
    """Return all containers and volumes, but those that say they are another owner's.

    A build's own containers say nothing, so they count: they would be ours.
    """
    containers = client.api.containers(all=True)
    volumes = client.api.volumes()["Volumes"] or []
    found = [(f"{c['Names']} {c['Image']} {c['Command']}", c["Labels"]) for c in containers]
    found += [(v["Name"], v["Labels"]) for v in volumes]
    return {name for name, labels in found if (labels or {}).get(OWNER, owner) == owner}


@pytest.fixture
def fresh_image(docker_engine_url):
    """Return a function that makes an image that nobody knows yet; what came of it goes, too."""
    client = docker.DockerClient(base_url=docker_engine_url)
    made = []

    def make(base):
        name = f"dlenv-test/fresh-{uuid.uuid4().hex[:8]}:1"
        container = client.api.create_container(base, ["true"])
        changes = [f"LABEL fresh={name}"]
        made.append(client.api.commit(container, *name.split(":"), changes=changes)["Id"])
        client.api.remove_container(container)
        return name

    yield make
    for image in made:
        for prepared in client.images.list(filters={"label": f"org.jupyter-dlenv.base={image}"}):
            client.images.remove(prepared.id, force=True)
        client.images.remove(image, force=True)
