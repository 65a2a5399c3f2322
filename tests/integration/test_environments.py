"""The order of steps, on real engines: what a launch makes, and what nothing leaves behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_dlenv.engines.base import ContainerPlan
from jupyter_dlenv.errors import (
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    ImageError,
    InvalidSpecError,
    MountMissingError,
    NameTakenError,
    NotAllowedError,
)
from jupyter_dlenv.kernels.link import AgentLink
from jupyter_dlenv.models import Mount, Phase, Status
from jupyter_dlenv.plan import Caller, container_name
from jupyter_dlenv.policy import Policy


async def output(stream):
    chunks = []
    while True:
        channel, data = await asyncio.wait_for(stream.read(), 30)
        if not channel:
            break
        chunks.append(data)
    code = await asyncio.wait_for(stream.wait(), 30)
    await stream.aclose()
    return code, b"".join(chunks).decode()


async def test_a_launched_environment_is_running_and_its_agent_answers(environments, spec):
    phases = []

    environment = await environments.launch(spec, report=lambda p: phases.append(p.phase))

    assert Status.RUNNING is environment.status
    assert [Phase.QUEUED, Phase.PULLING] == phases[:2]
    assert Phase.STARTING is phases[-1]
    link = await AgentLink.connect(environment_dir(environment), timeout=5)
    assert link.hello.protocol == 1
    await link.aclose()


async def test_any_process_sees_the_same_environments(environments, other_environments, spec):
    launched = await environments.launch(spec)

    assert (launched,) == await other_environments.list()
    assert launched == await other_environments.get(spec.name)


async def test_another_owner_sees_and_reaches_nothing(environments, strangers_environments, spec):
    await environments.launch(spec)

    assert () == await strangers_environments.list()
    with pytest.raises(EnvironmentNotFoundError):
        await strangers_environments.stop(spec.name)


async def test_stop_keeps_the_environment_and_start_brings_it_back(environments, spec):
    await environments.launch(spec)

    stopped = await environments.stop(spec.name)
    with pytest.raises(EnvironmentNotRunningError):
        await environments.open_stream(spec.name, ("true",))
    started = await environments.start(spec.name)

    assert Status.STOPPED is stopped.status
    assert Status.RUNNING is started.status
    assert stopped.id == started.id


async def test_restart_starts_the_processes_anew(environments, spec):
    before = await environments.launch(spec)

    after = await environments.restart(spec.name)

    assert before.id == after.id
    assert before.started != after.started


async def test_remove_leaves_nothing_and_frees_the_name(environments, spec):
    first = await environments.launch(spec)

    await environments.remove(spec.name)

    assert () == await environments.list()
    assert not environment_dir(first).parent.exists()
    assert not environments.kernelspecs.directory.joinpath(first.kernel_name).exists()
    second = await environments.launch(spec)
    assert first.id != second.id


async def test_an_unknown_name_brings_the_most_similar_one(environments, spec):
    await environments.launch(replace(spec, name="bert-finetune"))

    with pytest.raises(EnvironmentNotFoundError) as caught:
        await environments.get("bert-finetun")

    assert "bert-finetune" in caught.value.hint


async def test_of_two_launches_of_one_name_one_wins(environments, other_environments, spec):
    results = await asyncio.gather(
        environments.launch(spec), other_environments.launch(spec), return_exceptions=True
    )

    refused = [r for r in results if isinstance(r, NameTakenError)]
    assert 1 == len(refused), results
    assert 1 == len(await environments.list())


async def test_what_the_policy_refuses_is_not_begun(open_environments, spec):
    strict = open_environments(policy=Policy(allowed_images=("corp/*",)))

    with pytest.raises(NotAllowedError):
        await strict.launch(spec)

    assert () == await strict.list()


async def test_a_mount_that_is_missing_is_refused_before_anything_is_made(environments, spec):
    missing = Mount(source="/no/such/directory", target="/data")

    with pytest.raises(MountMissingError) as caught:
        await environments.launch(replace(spec, mounts=(missing,)))

    assert "/no/such/directory" in str(caught.value)
    assert () == await environments.list()


async def test_an_environment_of_another_engine_is_refused(environments, spec):
    with pytest.raises(InvalidSpecError):
        await environments.launch(replace(spec, engine="elsewhere"))


@pytest.mark.parametrize("phase", [Phase.PULLING, Phase.PREPARING, Phase.CREATING, Phase.STARTING])
async def test_a_launch_cancelled_in_any_phase_leaves_nothing(environments, spec, phase, tmp_path):
    reached = asyncio.Event()
    launch = asyncio.ensure_future(
        environments.launch(spec, report=lambda p: reached.set() if p.phase is phase else None)
    )
    await asyncio.wait_for(reached.wait(), 60)

    launch.cancel()
    with suppress(asyncio.CancelledError):
        await launch

    assert launch.cancelled()
    assert () == await environments.engine.list({"org.jupyter-dlenv.owner": environments.owner})
    assert [] == list((tmp_path / "run").glob("*"))
    await environments.launch(spec)


async def test_a_file_written_inside_belongs_to_the_caller(docker_environments, spec, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    environments = docker_environments(caller=Caller(uid=1234, gid=1234, name="alice"))
    mount = Mount(source=str(shared), target=str(shared))
    await environments.launch(replace(spec, mounts=(mount,), workdir=str(shared)))

    stream = await environments.open_stream(
        spec.name, ("sh", "-c", "id -un; echo $HOME; touch written; touch ~/kept; ls -ld ~")
    )
    code, text = await output(stream)

    assert 0 == code, text
    assert ["alice", "/home/dlenv"] == text.split()[:2]
    assert (1234, 1234) == ((shared / "written").stat().st_uid, (shared / "written").stat().st_gid)


async def test_root_is_root_only_when_asked_for(docker_environments, spec):
    environments = docker_environments(caller=Caller(uid=1234, gid=1234, name="alice"))
    await environments.launch(spec)

    stream = await environments.open_stream(spec.name, ("id", "-u"), as_root=True)

    assert (0, "0\n") == await output(stream)


async def test_the_home_directory_survives_a_restart_and_not_a_removal(docker_environments, spec):
    environments = docker_environments()
    await environments.launch(spec)
    await output(await environments.open_stream(spec.name, ("sh", "-c", "echo 1 > ~/kept")))

    await environments.restart(spec.name)
    kept = await output(await environments.open_stream(spec.name, ("sh", "-c", "cat ~/kept")))
    await environments.remove(spec.name)
    await environments.launch(spec)
    gone = await output(await environments.open_stream(spec.name, ("sh", "-c", "ls ~/kept")))

    assert (0, "1\n") == kept
    assert 0 != gone[0]


async def test_an_environment_has_room_in_shm_and_no_gpu_that_was_not_asked_for(
    docker_environments, spec
):
    environments = docker_environments()
    await environments.launch(replace(spec, shm_size=256 * 1024**2))

    script = "df -k /dev/shm | tail -1; echo gpus=$NVIDIA_VISIBLE_DEVICES; cat /proc/1/comm"
    _, text = await output(await environments.open_stream(spec.name, ("sh", "-c", script)))

    assert "262144" in text
    assert "gpus=void" in text
    assert "init" in text or "tini" in text


async def test_an_image_that_nobody_has_is_named_in_the_error(docker_environments, spec):
    environments = docker_environments()

    with pytest.raises(ImageError):
        await environments.launch(replace(spec, image="127.0.0.1:1/no/such:image"))

    assert () == await environments.list()


async def test_a_container_with_forged_labels_is_not_an_environment(docker_environments, spec):
    environments = docker_environments()
    launched = await environments.launch(spec)
    state = await environments.engine.inspect(launched.container_id)
    plan_of_a_stranger = ContainerPlan(
        name=container_name("mallory", "a"),
        image=spec.image,
        command=("true",),
        labels={**state.labels, "org.jupyter-dlenv.runtime-dir": "/root/.ssh"},
    )

    container_id = await environments.engine.create(plan_of_a_stranger)
    listed = await environments.list()
    await environments.engine.remove(container_id)

    assert (launched,) == listed


async def test_twenty_launches_at_once_are_all_ready(environments, spec):
    launched = await asyncio.gather(
        *(environments.launch(replace(spec, name=f"e{n}")) for n in range(20))
    )

    assert {Status.RUNNING} == {e.status for e in launched}
    assert 20 == len(await environments.list())


def environment_dir(environment):
    return Path(environment.runtime_dir)


@pytest.fixture
def strangers_environments(open_environments, owner):
    return open_environments(owner=f"{owner}-stranger")


@pytest.fixture
def other_environments(open_environments):
    return open_environments()
