"""What the launch form asks before a launch: the board of GPUs, and whether a request is right."""

from __future__ import annotations

from jupyter_dlenv.gpu_view import GpuView
from jupyter_dlenv.gpus.holders import Holders
from jupyter_dlenv.gpus.inventory import (
    Gpu,
    GpuProcess,
    GpuState,
    Inventory,
    Link,
    MigDevice,
)
from jupyter_dlenv.models import Environment, EnvironmentSpec, Status
from jupyter_dlenv.server.gpu_board import board


def gpu(index: int, **fields) -> Gpu:
    return Gpu(index=index, uuid=f"GPU-{index}", name="H100", memory_total=80, **fields)


def environment(name: str, container_id: str) -> Environment:
    return Environment(
        id=name, spec=EnvironmentSpec(name=name, image="i"), status=Status.RUNNING,
        container_id=container_id, image_id="i", owner="o", engine="docker",
    )  # fmt: skip


MINE = GpuProcess(pid=1, user="root", command="secret", container_id="c1")
THEIRS = GpuProcess(pid=2, user="mchen", command="secret")
INVENTORY = Inventory(
    gpus=(
        gpu(0, processes=(THEIRS, THEIRS)),
        gpu(1, processes=(MINE,)),
        gpu(2),
        gpu(3),
        gpu(4, mig_enabled=True, mig_devices=(MigDevice(uuid="MIG-1", index=0, name="1g"),)),
        gpu(5, state=GpuState.LOST),
        gpu(6),
    ),
    links={(2, 6): Link.NVLINK},
)


def view(held=None, *, fenced=None) -> GpuView:
    holders = Holders(by_uuid=held or {})
    return GpuView(inventory=INVENTORY, holders=holders, fenced=fenced or {})


def test_the_board_says_of_each_gpu_who_has_it_and_why_it_cannot_be_taken():
    held = {"GPU-1": "environment bert of o"}
    shown = board(
        view(held, fenced={"GPU-3": "not in this Slurm job"}), [environment("bert", "c1")]
    )

    assert [
        ("busy", "2 processes of mchen", ""),
        ("leased", "environment bert of o", "bert"),
        ("free", "", ""),
        ("fenced", "not in this Slurm job", ""),
        ("mig", "in MIG mode", ""),
        ("lost", "lost", ""),
        ("free", "", ""),
    ] == [(g["state"], g["reason"], g["environment"]) for g in shown["gpus"]]
    assert [("MIG-1", "free")] == [(m["uuid"], m["state"]) for m in shown["gpus"][4]["mig"]]
    assert 2 == shown["free"]
    assert "secret" not in str(shown)


def test_the_board_lights_up_the_best_connected_and_no_more_than_are_free():
    def taken(count: int) -> list[str]:
        return board(view(fenced={"GPU-1": "no"}), [], count=count)["will_be_taken"]

    assert [] == taken(0)
    assert ["GPU-2", "GPU-6"] == taken(2)
    assert ["GPU-2", "GPU-3", "GPU-6"] == taken(7)


async def test_without_a_driver_the_board_is_empty_and_says_why(api):
    answer = await api.get("/gpus")

    assert 200 == answer.code
    assert answer.json["gpus"] == []
    assert answer.json["driver"]["message"]


async def test_a_request_is_judged_field_by_field_and_nothing_is_made(api):
    answer = await api.post(
        "/spec", {"name": "Bad name", "image": "python", "gpus": -1, "mounts": ["data:/data"]}
    )

    assert answer.json["spec"] is None
    assert {"name", "gpus", "mounts"} == {p["field"] for p in answer.json["problems"]}
    assert [] == (await api.get("/environments")).json["environments"]


async def test_a_request_that_is_right_comes_back_with_its_defaults(api, jp_root_dir):
    answer = await api.post("/spec", {"name": "good", "image": "python"})

    assert [] == answer.json["problems"]
    assert str(jp_root_dir) == answer.json["spec"]["workdir"]
    assert 7603 == answer.json["ssh_port"]


async def test_a_name_that_is_taken_is_a_problem_of_the_name(api, launched):
    await launched("first")

    answer = await api.post("/spec", {"name": "first", "image": "python"})

    assert [("name", "name-taken")] == [(p["field"], p["code"]) for p in answer.json["problems"]]


async def test_a_job_tells_when_its_phases_began(launched):
    job = await launched("first")

    assert ["queued", "pulling", "preparing", "creating", "starting", "ready"] == list(
        job["phases"]
    )
    assert sorted(job["phases"].values()) == list(job["phases"].values())
