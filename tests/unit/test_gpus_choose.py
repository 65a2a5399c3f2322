"""Which GPUs are taken, and what is said of the others."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from jupyter_dlenv.errors import InvalidSpecError, NoFreeGpuError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.gpus.choose import choose
from jupyter_dlenv.gpus.inventory import (
    DriverState,
    Gpu,
    GpuProcess,
    GpuState,
    Inventory,
    Link,
    MigDevice,
)

MIB = 1024**2
PAIRS = {(a, a + 1): Link.NVLINK for a in (0, 2, 4, 6)}


def process(pid=1, user="bob"):
    return GpuProcess(pid=pid, user=user)


def machine(*, count=8, links=PAIRS, changes=None):
    """Return a machine of two nodes with four GPUs each; ``changes`` are by index."""
    changes = changes or {}
    gpus = [Gpu(index=i, uuid=f"GPU-{i:02x}aa", **changes.get(i, {})) for i in range(count)]
    near = {
        (a, b): Link.SAME_NODE
        for a in range(count)
        for b in range(a + 1, count)
        if a // 4 == b // 4
    }
    return Inventory(gpus=tuple(gpus), links=near | dict(links))


def mig(gpu, index, **changes):
    return MigDevice(uuid=f"MIG-{gpu:02x}{index:02x}", index=index, **changes)


def with_migs(*indices, gpu=2, **changes):
    parts = tuple(mig(gpu, i) for i in indices)
    return {gpu: {"mig_enabled": True, "mig_devices": parts, **changes}}


def taken(inventory, text, reasons=None, **options):
    choice = choose(inventory, GpuRequest.parse(text), reasons, **options)
    return [device.removesuffix("aa") for device in choice.uuids]


def reasons_of(choice):
    return {n.label.removeprefix("GPU "): n.reason for n in choice.not_taken}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ("1", ["GPU-01"]),
        ("2", ["GPU-02", "GPU-03"]),
        ("3", ["GPU-01", "GPU-02", "GPU-03"]),
        ("4", ["GPU-04", "GPU-05", "GPU-06", "GPU-07"]),
    ],
)
def test_of_idle_gpus_those_with_the_best_links_are_taken(count, expected):
    inventory = machine(changes={0: {"processes": (process(),)}})

    assert taken(inventory, count) == expected


def test_of_equal_gpus_the_one_with_least_memory_in_use_is_taken():
    used = {i: {"memory_used": (9 - i) * MIB} for i in range(8)}

    assert taken(machine(links={}, changes=used), "1") == ["GPU-07"]


def test_every_gpu_that_is_not_taken_has_a_reason_in_words():
    changes = {
        0: {"utilization": 97},
        1: {"processes": (process(1), process(2))},
        3: {"state": GpuState.LOST, "error": "GPU is lost"},
        4: {"memory_used": 450 * MIB},
        5: {"state": GpuState.ERROR, "error": "Unknown Error"},
        6: {"processes": (process(1, ""), process(2, "eve"))},
        **with_migs(0, 3),
    }

    choice = choose(machine(count=10, changes=changes), GpuRequest(count=1), {"GPU-07aa": "alice"})

    assert choice.uuids == ("GPU-08aa",)
    assert reasons_of(choice) == {
        "0": "97 % busy",
        "1": "2 processes of bob",
        "2": "in MIG mode",
        "2:0": "idle, not needed",
        "2:3": "idle, not needed",
        "3": "lost",
        "4": "450 MiB in use by nobody visible",
        "5": "in error: Unknown Error",
        "6": "1 process, 1 process of eve",
        "7": "alice",
        "9": "idle, not needed",
    }


def test_a_lease_is_named_before_the_processes_in_it():
    inventory = machine(count=2, changes={0: {"processes": (process(),)}})

    choice = choose(inventory, GpuRequest(count=1), {"GPU-00aa": "leased by alice/train"})

    assert reasons_of(choice) == {"0": "leased by alice/train"}


def test_a_little_memory_and_load_is_still_idle():
    inventory = machine(
        count=1, links={}, changes={0: {"memory_used": 255 * MIB, "utilization": 4}}
    )

    assert taken(inventory, "1") == ["GPU-00"]


def test_too_few_idle_gpus_are_refused_with_all_reasons():
    inventory = machine(count=3, changes={0: {"utilization": 97}})

    with pytest.raises(NoFreeGpuError) as raised:
        choose(inventory, GpuRequest(count=3), {"GPU-01aa": "leased by alice/train"})

    assert str(raised.value) == "3 GPUs are wanted, 1 is free."
    assert raised.value.detail == "GPU 0: 97 % busy\nGPU 1: leased by alice/train\nGPU 2: idle"
    assert "--share" in raised.value.hint
    assert "--wait-for-gpus" in raised.value.hint


def test_a_machine_without_gpus_says_why():
    inventory = Inventory(driver_state=DriverState.MISSING, message="There is no driver.")

    with pytest.raises(NoFreeGpuError, match="no GPU on this machine") as raised:
        choose(inventory, GpuRequest(count=1))

    assert raised.value.detail == "There is no driver."


def test_zero_gpus_are_none_on_any_machine():
    assert choose(Inventory(driver_state=DriverState.MISSING), GpuRequest()).uuids == ()
    assert len(choose(machine(), GpuRequest()).not_taken) == 8


def test_all_are_those_that_can_be_used_at_all():
    changes = {3: {"state": GpuState.LOST}, **with_migs(0)}

    assert taken(machine(count=5, changes=changes), "all") == ["GPU-00", "GPU-01", "GPU-04"]


def test_all_is_refused_when_one_is_busy():
    with pytest.raises(NoFreeGpuError, match="8 GPUs are wanted, 7 are free"):
        choose(machine(changes={3: {"utilization": 50}}), GpuRequest(all=True))


def test_all_of_a_machine_whose_gpus_are_lost_is_refused():
    lost = {0: {"state": GpuState.LOST}}

    with pytest.raises(NoFreeGpuError, match="No GPU of this machine can be used"):
        choose(machine(count=1, links={}, changes=lost), GpuRequest(all=True))


def test_gpus_can_be_named_by_index_and_by_the_beginning_of_a_uuid():
    assert taken(machine(), "device=5,0") == ["GPU-00", "GPU-05"]
    assert taken(machine(), "GPU-03,GPU-07AA") == ["GPU-03", "GPU-07"]


def test_a_named_gpu_that_is_busy_is_refused_and_only_it_is_spoken_of():
    with pytest.raises(NoFreeGpuError) as raised:
        choose(machine(changes={3: {"utilization": 50}}), GpuRequest(devices=("3", "4")))

    assert str(raised.value) == "2 GPUs are wanted, 1 is free."
    assert raised.value.detail == "GPU 3: 50 % busy\nGPU 4: idle"


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (("9",), "There is no GPU 9 on this machine"),
        (("GPU-ff",), "There is no GPU GPU-ff"),
        (("GPU-0",), "several UUIDs: GPU 0, GPU 1"),
        (("3", "GPU-03aa"), "named twice"),
        (("3", "2:1"), "Full GPUs and MIG devices cannot be together"),
    ],
)
def test_names_that_mean_nothing_are_refused(devices, words):
    inventory = machine(changes=with_migs(0, 1))

    with pytest.raises(InvalidSpecError, match=words):
        choose(inventory, GpuRequest(devices=devices))


def test_mig_devices_are_taken_by_name_and_never_counted_beside_gpus():
    inventory = machine(count=4, changes=with_migs(0, 3))

    assert taken(inventory, "device=2:3") == ["MIG-0203"]
    assert taken(inventory, "MIG-0200,MIG-0203") == ["MIG-0200", "MIG-0203"]
    assert taken(inventory, "3") == ["GPU-00", "GPU-01", "GPU-03"]
    with pytest.raises(NoFreeGpuError):
        choose(inventory, GpuRequest(count=4))


def test_a_gpu_in_mig_mode_itself_is_not_given():
    with pytest.raises(NoFreeGpuError) as raised:
        choose(machine(changes=with_migs(0)), GpuRequest(devices=("2",)), shared=True)

    assert raised.value.detail == "GPU 2: in MIG mode"


def test_where_all_gpus_are_parted_a_count_means_parts():
    inventory = machine(count=1, links={}, changes=with_migs(0, 3, gpu=0))

    assert taken(inventory, "1") == ["MIG-0000"]


def test_a_used_mig_device_is_not_taken():
    parts = (mig(0, 0, processes=(process(),)), mig(0, 1))
    inventory = machine(count=1, links={}, changes={0: {"mig_enabled": True, "mig_devices": parts}})

    assert taken(inventory, "1") == ["MIG-0001"]


def test_sharing_takes_idle_gpus_first_and_then_the_least_crowded():
    changes = {
        0: {"processes": (process(1), process(2))},
        1: {"processes": (process(3),)},
        2: {"state": GpuState.LOST},
    }
    inventory = machine(count=4, changes=changes)

    assert taken(inventory, "1", shared=True) == ["GPU-03"]
    assert taken(inventory, "2", shared=True) == ["GPU-01", "GPU-03"]
    assert taken(inventory, "3", {"GPU-03aa": "leased by bob"}, shared=True) == [
        "GPU-00",
        "GPU-01",
        "GPU-03",
    ]
    with pytest.raises(NoFreeGpuError):
        choose(inventory, GpuRequest(count=4), shared=True)


def test_a_fenced_gpu_is_not_taken_not_even_shared():
    fenced = {"GPU-00aa": "not allowed by the administrator"}

    with pytest.raises(NoFreeGpuError) as raised:
        choose(machine(), GpuRequest(devices=("0",)), fenced=fenced, shared=True)

    assert raised.value.detail == "GPU 0: not allowed by the administrator"
    assert taken(machine(count=2, links={}), "all", fenced=fenced) == ["GPU-01"]


@pytest.mark.parametrize(("size", "count"), [(16, 8), (16, 3), (20, 10), (64, 32)])
def test_a_choice_among_many_gpus_takes_no_time_to_speak_of(size, count):
    inventory = replace(machine(count=size), links={(0, size - 1): Link.NVLINK})
    began = time.perf_counter()

    choice = choose(inventory, GpuRequest(count=count))

    assert time.perf_counter() - began < 5
    assert len(choice.uuids) == count
    assert {"GPU-00aa", f"GPU-{size - 1:02x}aa"} <= set(choice.uuids)
