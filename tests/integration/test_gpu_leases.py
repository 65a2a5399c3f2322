"""Who gets which GPUs: launches hold them by UUID, and see exactly those."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from rig.gpu_host import said
from rig.nvml import MIB, FakeDriver, FakeGpu, FakeProcess, gpu_uuid
from rig.profiles import SMI_VARIABLE

from jupyter_dlenv.doctor.collect_environments import environment_reports
from jupyter_dlenv.doctor.diagnoses import diagnose
from jupyter_dlenv.doctor.facts import Facts
from jupyter_dlenv.engines.base import ContainerPlan
from jupyter_dlenv.errors import (
    DlenvError,
    GpuLostError,
    GpuMismatchError,
    GpusTakenError,
    NameTakenError,
    NoFreeGpuError,
    NotAllowedError,
)
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.gpus.line import TICKET, PlaceInLine, in_order
from jupyter_dlenv.gpus.sight import gpu_trouble
from jupyter_dlenv.labels import OWNER, ROLE
from jupyter_dlenv.models import Mount, Status
from jupyter_dlenv.plan import replaced_name
from jupyter_dlenv.policy import Policy

TWO = GpuRequest(count=2)


def uuids(*indices):
    return tuple(gpu_uuid(index) for index in indices)


async def test_a_launch_holds_connected_idle_gpus_and_the_next_gets_others(on_gpus, spec, driver):
    busy = FakeGpu(used=9_000 * MIB, processes=[FakeProcess(pid=1, memory=MIB)])
    driver.configure(FakeDriver(nvlinks=[(0, 1), (2, 3), (4, 5)]).with_gpu(0, busy))

    first = await on_gpus.launch(replace(spec, gpus=TWO))
    second = await on_gpus.launch(replace(spec, name="b", gpus=TWO))

    assert uuids(2, 3) == first.gpu_uuids
    assert uuids(4, 5) == second.gpu_uuids
    shown = json.loads(json.dumps(first.to_json()))
    assert (2, list(uuids(2, 3)), 2) == (shown["gpus"], shown["gpu_uuids"], shown["spec"]["gpus"])


async def test_a_load_that_is_about_to_pass_is_waited_for(on_gpus, spec, driver):
    # As the driver tells it of a GPU whose last process has just ended.
    driver.configure(FakeDriver().with_gpu(0, FakeGpu(utilization=40)))
    asyncio.get_running_loop().call_later(0.5, driver.configure, FakeDriver())

    environment = await on_gpus.launch(replace(spec, gpus=GpuRequest(devices=("0",))))

    assert uuids(0) == environment.gpu_uuids


async def test_who_gets_none_is_told_why_for_each(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(count=7)))

    with pytest.raises(NoFreeGpuError) as caught:
        await on_gpus.launch(replace(spec, name="b", gpus=TWO))

    assert "2 GPUs are wanted, 1 is free." == str(caught.value)
    assert f"GPU 0: environment a of {owner}" in caught.value.detail.splitlines()
    assert ["a"] == [e.name for e in await on_gpus.list()]
    shared = await on_gpus.launch(replace(spec, name="c", gpus=TWO, shared=True))
    assert gpu_uuid(7) in shared.gpu_uuids


async def test_a_stopped_or_removed_environment_holds_nothing(on_gpus, spec):
    everything = replace(spec, gpus=GpuRequest(all=True))
    for end in (on_gpus.stop, on_gpus.remove):
        environment = await on_gpus.launch(everything)
        assert uuids(*range(8)) == environment.gpu_uuids

        await end("a")
        await on_gpus.launch(replace(everything, name="b"))

        await on_gpus.remove("b")
        if end == on_gpus.stop:
            await on_gpus.remove("a")


async def test_all_are_counted_by_the_policy_when_they_are_known(open_on_gpus, spec):
    environments = open_on_gpus(policy=Policy(max_gpus=3))

    with pytest.raises(NotAllowedError, match="max_gpus"):
        await environments.launch(replace(spec, gpus=GpuRequest(all=True)))

    assert () == await environments.list()


async def test_the_administrators_fence_is_respected(open_on_gpus, spec):
    environments = open_on_gpus(policy=Policy(allowed_gpus=("6", gpu_uuid(7))))

    environment = await environments.launch(replace(spec, gpus=TWO))
    with pytest.raises(DlenvError) as refused:
        await environments.launch(replace(spec, name="b", gpus=GpuRequest(devices=("0",))))

    assert uuids(6, 7) == environment.gpu_uuids
    assert "allowed_gpus" in f"{refused.value} {refused.value.detail}"


async def test_nothing_but_environments_is_left_on_the_engine(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, gpus=TWO))

    states = await on_gpus.engine.list({OWNER: owner})

    assert ["environment"] == [s.labels[ROLE] for s in states]


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_container_sees_exactly_its_gpus_by_cdi(on_gpus, spec):
    environment = await on_gpus.launch(replace(spec, gpus=GpuRequest(devices=("2", "5"))))

    text = await said(on_gpus, "a", "ls /dev/nvidia*; nvidia-smi -L; env | grep NVIDIA_VIS")

    assert ["/dev/nvidia2", "/dev/nvidia5"] == text.split()[:2]
    assert all(uuid in text for uuid in environment.gpu_uuids)
    assert "NVIDIA_VISIBLE_DEVICES=void" in text


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_container_sees_exactly_its_gpus_by_the_legacy_hook(on_gpus, spec, driver):
    # The engine knows the first eight by name; the others only NVIDIA's hook does.
    driver.configure(FakeDriver(gpus=(FakeGpu(),) * 10))

    environment = await on_gpus.launch(replace(spec, gpus=GpuRequest(devices=("8", "9"))))

    first = await said(on_gpus, "a", "tr '\\0' '\\n' </proc/1/environ | grep NVIDIA_VISIBLE")
    assert uuids(8, 9) == environment.gpu_uuids
    assert {f"NVIDIA_VISIBLE_DEVICES={gpu_uuid(8)},{gpu_uuid(9)}"} == set(first.split())


async def test_without_gpus_the_driver_is_never_asked(on_gpus, spec, driver):
    environment = await on_gpus.launch(spec)

    assert () == environment.gpu_uuids
    assert [] == driver.calls


async def test_a_stopped_environment_whose_gpus_are_taken_says_by_whom(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(devices=("3",))))
    await on_gpus.stop("a")
    await on_gpus.launch(replace(spec, name="b", gpus=GpuRequest(devices=("3",))))

    with pytest.raises(GpusTakenError, match=f"GPU 3: environment b of {owner}") as caught:
        await on_gpus.start("a")

    assert "jupyter dlenv recreate a" in caught.value.hint
    await on_gpus.remove("b")
    assert Status.RUNNING is (await on_gpus.start("a")).status


async def test_of_two_that_start_on_one_gpu_at_the_same_time_one_does(open_on_gpus, spec, owner):
    # Each stands for a process.
    first, second = open_on_gpus(), open_on_gpus()
    for name in ("a", "b"):
        await first.launch(replace(spec, name=name, gpus=GpuRequest(devices=("3",))))
        await first.stop(name)

    outcomes = await asyncio.gather(first.start("a"), second.start("b"), return_exceptions=True)

    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert isinstance(refused, GpusTakenError)
    assert 1 == [e.status for e in await first.list()].count(Status.RUNNING)


async def test_a_restart_gives_nobody_the_gpus_in_between(on_gpus, spec, owner):
    environment = await on_gpus.launch(replace(spec, gpus=GpuRequest(all=True)))
    wanted = replace(spec, name="b", gpus=GpuRequest(count=1))

    _, *refused = await asyncio.gather(
        on_gpus.restart("a"), *(on_gpus.launch(wanted) for _ in range(3)), return_exceptions=True
    )

    assert all(isinstance(e, (NoFreeGpuError, NameTakenError)) for e in refused), refused
    assert environment.gpu_uuids == (await on_gpus.get("a")).gpu_uuids
    assert ["environment"] == [s.labels[ROLE] for s in await on_gpus.engine.list({OWNER: owner})]


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_launch_that_sees_other_gpus_than_it_was_given_fails(on_gpus, spec, tmp_path):
    smi = tmp_path / "smi"
    smi.write_text(f"GPU 0: Pretended (UUID: {gpu_uuid(6)})\n")
    wanted = replace(
        spec,
        gpus=GpuRequest(devices=("1",)),
        mounts=(Mount(source=str(tmp_path), target="/smi"),),
        env={SMI_VARIABLE: "/smi/smi"},
    )

    with pytest.raises(GpuMismatchError) as caught:
        await on_gpus.launch(wanted)

    assert f"It sees also {gpu_uuid(6)}" in caught.value.detail
    assert f"It does not see {gpu_uuid(1)}" in caught.value.detail
    assert () == await on_gpus.list()


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_gpus_that_are_lost_while_it_runs_are_noticed(on_gpus, spec, tmp_path):
    smi = tmp_path / "smi"
    smi.write_text(f"GPU 0: Pretended (UUID: {gpu_uuid(1)})\n")
    mount = Mount(source=str(tmp_path), target="/smi")
    wanted = replace(spec, mounts=(mount,), env={SMI_VARIABLE: "/smi/smi"})
    environment = await on_gpus.launch(replace(wanted, gpus=GpuRequest(devices=("1",))))
    assert await gpu_trouble(on_gpus.engine, environment) is None

    smi.write_text("Failed to initialize NVML: Unknown Error\n")

    assert isinstance(await gpu_trouble(on_gpus.engine, environment), GpuLostError)
    (report,) = await environment_reports(on_gpus.engine, on_gpus.owner)
    (finding,) = [f for f in diagnose(Facts(environments=(report,))) if f.id == "G14"]
    assert "jupyter dlenv recreate a" in finding.fix


async def test_an_environment_is_recreated_on_others_with_its_files(on_gpus, spec, tmp_path):
    before = await on_gpus.launch(replace(spec, gpus=GpuRequest(devices=("3",))))
    await said(on_gpus, "a", "echo kept >$HOME/.dlenv-test")
    await on_gpus.stop("a")
    await on_gpus.launch(replace(spec, name="b", gpus=GpuRequest(devices=("3",))))

    after = await on_gpus.recreate("a")

    assert uuids(2) == after.gpu_uuids
    assert Status.RUNNING is after.status
    assert (
        "kept" == (await said(on_gpus, "a", "cat $HOME/.dlenv-test; rm $HOME/.dlenv-test")).strip()
    )
    assert (before.image_id, before.kernel_name) == (after.image_id, after.kernel_name)
    assert before.container_id != after.container_id
    assert ["a", "b"] == [e.name for e in await on_gpus.list()]
    assert before.id not in {path.name for path in tmp_path.glob("run/*")}


async def test_a_recreation_that_cannot_have_its_gpus_leaves_everything_as_it_was(on_gpus, spec):
    before = await on_gpus.launch(replace(spec, gpus=GpuRequest(devices=("3",))))
    await on_gpus.launch(replace(spec, name="b", gpus=GpuRequest(count=7)))

    with pytest.raises(NoFreeGpuError):
        await on_gpus.recreate("a", gpus=GpuRequest(count=2))

    after = await on_gpus.get("a")
    assert (before.container_id, before.gpu_uuids) == (after.container_id, after.gpu_uuids)
    assert Status.RUNNING is after.status
    # Its own one it can have.
    assert uuids(3) == (await on_gpus.recreate("a", gpus=GpuRequest(count=1))).gpu_uuids


async def test_a_recreation_killed_before_the_new_container_got_the_name_is_undone(
    on_gpus, spec, owner
):
    old = await on_gpus.launch(spec)
    await on_gpus.engine.rename(old.container_id, replaced_name(owner, "a"))

    (found,) = await on_gpus.list()

    assert (old.container_id, "a") == (found.container_id, found.name)


async def test_a_recreation_killed_before_the_old_container_was_removed_is_completed(
    on_gpus, spec, owner
):
    new = await on_gpus.launch(spec)
    left = ContainerPlan(
        name=replaced_name(owner, "a"),
        image=new.image_id,
        command=("true",),
        labels={OWNER: owner},
    )
    await on_gpus.engine.create(left)

    assert [new.container_id] == [e.container_id for e in await on_gpus.list()]
    assert 1 == len(await on_gpus.engine.list({OWNER: owner}))


class Waiter:
    """A launch that waits in line."""

    def __init__(self, environments, spec, **place):
        self.said = []
        self.line = PlaceInLine(**place)
        self.task = asyncio.create_task(
            environments.launch(spec, report=self._hear, line=self.line), name=spec.name
        )

    def _hear(self, progress):
        if progress.message.startswith("Waiting"):
            self.said.append(progress.message)

    async def waits(self, words):
        for _ in range(600):
            if words in self.said or self.task.done():
                break
            await asyncio.sleep(0.05)
        assert not self.task.done(), self.task
        assert words in self.said


async def test_those_who_wait_are_served_in_order_and_nobody_jumps_the_line(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, name="all-but-one", gpus=GpuRequest(count=7)))
    first = Waiter(on_gpus, replace(spec, name="first", gpus=TWO))
    await first.waits("Waiting in line for 2 GPUs: place 1 of 1")
    second = Waiter(on_gpus, replace(spec, name="second", gpus=GpuRequest(count=7)))
    await second.waits("Waiting in line for 7 GPUs: place 2 of 2")

    with pytest.raises(NoFreeGpuError) as caught:
        await on_gpus.launch(replace(spec, name="x", gpus=GpuRequest(count=1)))
    assert f"kept for environment first of {owner}, which waits in line" in caught.value.detail
    with pytest.raises(NameTakenError):
        await on_gpus.launch(replace(spec, name="first", gpus=TWO), line=PlaceInLine())

    await on_gpus.stop("all-but-one")
    assert 2 == len((await first.task).gpu_uuids)
    await second.waits("Waiting in line for 7 GPUs: place 1 of 1")
    await on_gpus.remove("first")
    assert 7 == len((await second.task).gpu_uuids)
    roles = {s.labels[ROLE] for s in await on_gpus.engine.list({OWNER: owner})}
    assert {"environment"} == roles


async def test_who_waits_can_be_cancelled_and_leaves_nothing(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(all=True)))
    waiter = Waiter(on_gpus, replace(spec, name="b", gpus=TWO))
    await waiter.waits("Waiting in line for 2 GPUs: place 1 of 1")

    waiter.task.cancel()
    await asyncio.wait([waiter.task])

    assert waiter.task.cancelled()
    assert ["environment"] == [s.labels[ROLE] for s in await on_gpus.engine.list({OWNER: owner})]


async def test_nobody_waits_for_what_can_never_be(on_gpus, spec):
    with pytest.raises(NoFreeGpuError):
        await on_gpus.launch(replace(spec, gpus=GpuRequest(count=9)), line=PlaceInLine())


async def test_a_place_in_line_can_be_taken_over(on_gpus, spec, owner):
    await on_gpus.launch(replace(spec, gpus=GpuRequest(all=True)))
    gone = Waiter(on_gpus, replace(spec, name="b", gpus=TWO), keep="what it needs")
    await gone.waits("Waiting in line for 2 GPUs: place 1 of 1")
    behind = Waiter(on_gpus, replace(spec, name="c", gpus=TWO))
    await behind.waits("Waiting in line for 2 GPUs: place 2 of 2")
    (left,) = [t for t in in_order(await on_gpus.engine.list({ROLE: TICKET})) if t.keep]
    gone.line.stays = True
    gone.task.cancel()
    await asyncio.wait([gone.task])

    place = {"keep": left.keep, "ticket": left.id, "since": left.since}
    back = Waiter(on_gpus, replace(spec, name="b", gpus=TWO), **place)

    await back.waits("Waiting in line for 2 GPUs: place 1 of 2")
    for waiter in (back, behind):
        waiter.task.cancel()
    await asyncio.wait([back.task, behind.task])
    assert () == await on_gpus.engine.list({ROLE: TICKET, OWNER: owner})
