"""Which GPUs this server leaves alone, because of how it was started and configured."""

from __future__ import annotations

import pytest

from jupyter_dlenv.gpus.fence import fence
from jupyter_dlenv.gpus.inventory import Gpu, GpuState, Inventory, MigDevice

MIGS = (MigDevice(uuid="MIG-20", index=0), MigDevice(uuid="MIG-23", index=3))
MACHINE = Inventory(
    gpus=(
        Gpu(index=0, uuid="GPU-a0"),
        Gpu(index=1, uuid="GPU-a1"),
        Gpu(index=2, uuid="GPU-b2", mig_enabled=True, mig_devices=MIGS),
        Gpu(index=3, uuid="GPU-b3"),
    )
)
EVERYTHING = {"GPU-a0", "GPU-a1", "GPU-b2", "GPU-b3", "MIG-20", "MIG-23"}
PART_2 = {"GPU-b2", "MIG-20", "MIG-23"}


def left(environ, allowed=("all",), inventory=MACHINE):
    return EVERYTHING - set(fence(inventory, environ, allowed))


def test_without_anything_said_all_may_be_used():
    assert fence(MACHINE, {}) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0,1", {"GPU-a0", "GPU-a1"}),
        (" 3 ", {"GPU-b3"}),
        ("GPU-b3,GPU-a1", {"GPU-a1", "GPU-b3"}),
        ("2", PART_2),
        ("MIG-23", {"MIG-23"}),
        ("", set()),
        ("-1", set()),
        ("NoDevFiles", set()),
        ("1,-1,3", {"GPU-a1"}),
        ("1,9,3", {"GPU-a1"}),
        ("1,,3", {"GPU-a1"}),
    ],
)
def test_cuda_is_understood_as_cuda_does(value, expected):
    assert left({"CUDA_VISIBLE_DEVICES": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("all", EVERYTHING),
        ("void", set()),
        ("none", set()),
        ("", set()),
        ("0,1", {"GPU-a0", "GPU-a1"}),
        ("GPU-b3", {"GPU-b3"}),
        ("nvidia.com/gpu=0,nvidia.com/gpu=2:3", {"GPU-a0", "MIG-23"}),
        ("nvidia.com/gpu=all", EVERYTHING),
    ],
)
def test_what_a_container_was_given_is_kept_to(value, expected):
    assert left({"NVIDIA_VISIBLE_DEVICES": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1,3", {"GPU-a1", "GPU-b3"}), ("0-1", {"GPU-a0", "GPU-a1"}), ("", EVERYTHING)],
)
def test_a_slurm_job_keeps_to_its_gpus(value, expected):
    assert left({"SLURM_JOB_GPUS": value}) == expected


@pytest.mark.parametrize("variable", ["SLURM_JOB_GPUS", "NVIDIA_VISIBLE_DEVICES"])
@pytest.mark.parametrize("value", ["6,7", "1,2", "0,1"])
def test_gpus_that_were_numbered_anew_are_not_fenced_twice(variable, value):
    hidden_already = Inventory(gpus=MACHINE.gpus[:2])

    assert fence(hidden_already, {variable: value}) == {}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(["all"], EVERYTHING), (["*"], EVERYTHING), ([], set()), (["0", "GPU-b3"], None)],
)
def test_the_administrator_names_what_may_be_used(allowed, expected):
    assert left({}, allowed) == ({"GPU-a0", "GPU-b3"} if expected is None else expected)


def test_the_reason_is_said_in_words_and_the_administrators_comes_first():
    environ = {"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_GPUS": "0"}

    reasons = fence(MACHINE, environ, ["1", "2", "3"])

    assert reasons == {
        "GPU-a0": "not allowed by the administrator (allowed_gpus)",
        "GPU-a1": "not in this Slurm job",
        **dict.fromkeys(PART_2 | {"GPU-b3"}, "not in CUDA_VISIBLE_DEVICES"),
    }


def test_a_lost_gpu_without_a_name_needs_no_fence():
    lost = Inventory(gpus=(Gpu(index=0, uuid="", state=GpuState.LOST),))

    assert fence(lost, {"CUDA_VISIBLE_DEVICES": ""}) == {}
