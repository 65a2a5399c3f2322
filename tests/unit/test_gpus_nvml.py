"""What is read from the driver, and what is made of everything that can be wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
from rig.nvml import (
    HOST_BRIDGE,
    MIB,
    SONAME,
    SWITCH,
    SWITCHES,
    FakeDriver,
    FakeGpu,
    FakeMig,
    FakeNvml,
    FakeProcess,
    build,
    gpu_uuid,
    mig_uuid,
)
from rig.nvml_reader import RemoteReader

HEALTHY = FakeDriver()
LOST = HEALTHY.with_gpu(3, FakeGpu(lost=True))
V3 = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v3")
V2 = ("nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses_v2")


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def fake(library, tmp_path):
    return FakeNvml(library, tmp_path)


@pytest.fixture
def reader(fake):
    with RemoteReader(fake) as running:
        yield running


def states(inventory):
    return [gpu["state"] for gpu in inventory["gpus"]]


def test_a_gpu_is_described(fake, reader):
    used = FakeGpu(used=20_000 * MIB, utilization=97, temperature=64, power=512_500)
    fake.configure(HEALTHY.with_gpu(1, used))

    inventory = reader.read()

    gpu = inventory["gpus"][1]
    assert inventory["driver_state"] == "ok"
    assert inventory["driver_version"] == "580.95.05"
    assert inventory["cuda_version"] == [13, 0]
    assert len(inventory["gpus"]) == 8
    assert (
        gpu
        | {
            "index": 1,
            "uuid": gpu_uuid(1),
            "name": "NVIDIA H100 80GB HBM3",
            "memory_total": 81_559 * MIB,
            "memory_used": 20_000 * MIB,
            "utilization": 97,
            "temperature": 64,
            "power": 512.5,
            "power_limit": 700.0,
            "compute_capability": [9, 0],
            "pci_bus_id": "00000000:18:00.0",
            "mig_enabled": False,
            "processes": [],
        }
        == gpu
    )


def test_processes_are_named_by_user_and_command_once_each(fake, reader):
    me = os.getpid()
    users = [
        FakeProcess(pid=me, memory=5 * MIB),
        FakeProcess(pid=me, kind="G"),
        FakeProcess(pid=2**30, kind="G"),
    ]
    fake.configure(HEALTHY.with_gpu(0, FakeGpu(processes=users)))

    first, second = reader.read()["gpus"][0]["processes"]

    assert (first["pid"], first["memory"], first["kind"]) == (me, 5 * MIB, "compute")
    assert "python" in first["command"]
    assert first["user"]
    assert second == {
        "pid": 2**30,
        "memory": None,
        "user": "",
        "command": "",
        "container_id": "",
        "kind": "graphics",
    }


def test_mig_devices_after_a_gap_are_found(fake, reader):
    busy = FakeMig(index=0, used=8_000 * MIB, processes=[FakeProcess(pid=2**30, memory=MIB)])
    fake.configure(HEALTHY.with_gpu(2, FakeGpu(utilization=50, migs=[busy, FakeMig(index=3)])))

    gpu = reader.read()["gpus"][2]

    assert gpu["mig_enabled"]
    assert gpu["utilization"] is None
    assert [d["index"] for d in gpu["mig_devices"]] == [0, 3]
    assert [d["uuid"] for d in gpu["mig_devices"]] == [mig_uuid(2, 0), mig_uuid(2, 3)]
    assert gpu["mig_devices"][0]["memory_used"] == 8_000 * MIB
    assert [[p["pid"] for p in d["processes"]] for d in gpu["mig_devices"]] == [[2**30], []]
    assert [p["pid"] for p in gpu["processes"]] == [2**30]


def test_links_are_told_apart(fake, reader):
    levels = {(0, 1): SWITCH, (0, 2): SWITCHES, (0, 3): HOST_BRIDGE}
    fake.configure(replace(HEALTHY, nvlinks=[(4, 5)], levels=levels))

    links = {tuple(x["between"]): x["link"] for x in reader.read()["links"]}

    assert len(links) == 28
    assert [links[0, i] for i in range(1, 5)] == ["PIX", "PXB", "PHB", "SYS"]
    assert links[4, 5] == "NV"
    assert links[5, 6] == "NODE"


@pytest.mark.parametrize(
    ("number", "state", "words"),
    [
        (9, "not-loaded", "modprobe nvidia"),
        (12, "missing", "no NVIDIA driver library"),
        (18, "mismatch", "Reboot"),
        (999, "error", "Unknown Error"),
    ],
)
def test_a_driver_that_does_not_answer_is_a_state_with_advice(fake, reader, number, state, words):
    fake.configure(replace(HEALTHY, init_error=number))

    inventory = reader.read()

    assert inventory["driver_state"] == state
    assert inventory["gpus"] == []
    assert words in inventory["message"]


def test_a_library_that_cannot_be_loaded_is_a_missing_driver(fake, tmp_path):
    (tmp_path / SONAME).write_text("no library")
    environ = fake.environ | {"LD_LIBRARY_PATH": str(tmp_path)}

    with RemoteReader(fake, environ) as reader:
        assert reader.read()["driver_state"] == "missing"


def test_an_older_driver_is_read_with_its_older_functions(fake, reader):
    missing = (*V3, "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetPciInfo_v3")
    gpu = FakeGpu(used=5 * MIB, reserved=0, processes=[FakeProcess(pid=2**30, kind="G")])
    fake.configure(replace(HEALTHY.with_gpu(0, gpu), missing=missing))

    inventory = reader.read()

    assert inventory["driver_state"] == "ok"
    assert inventory["gpus"][0]["memory_used"] == 5 * MIB
    assert inventory["gpus"][0]["pci_bus_id"] == ""
    assert [p["kind"] for p in inventory["gpus"][0]["processes"]] == ["graphics"]


@pytest.mark.parametrize("missing", [V3 + V2, ["nvmlDeviceGetCount_v2"], ["nvmlInitWithFlags"]])
def test_a_driver_that_cannot_say_who_uses_a_gpu_is_too_old(fake, reader, missing):
    fake.configure(replace(HEALTHY, missing=missing))

    assert reader.read()["driver_state"] == "too-old"


@pytest.mark.parametrize(("number", "state"), [(999, "error"), (15, "lost"), (4, "error")])
def test_one_bad_gpu_leaves_the_others_usable(fake, reader, number, state):
    fake.configure(HEALTHY.with_gpu(3, FakeGpu(error=number)))

    inventory = reader.read()

    assert inventory["driver_state"] == "ok"
    assert states(inventory) == [*["ok"] * 3, state, *["ok"] * 4]
    assert inventory["gpus"][3]["error"]


def test_a_lost_gpu_is_named_as_it_was_when_it_was_well(fake, reader):
    reader.read()
    fake.configure(LOST)

    lost = reader.read()["gpus"][3]

    assert (lost["state"], lost["uuid"]) == ("lost", gpu_uuid(3))
    assert lost["name"] == "NVIDIA H100 80GB HBM3"
    assert lost["memory_total"] == 81_559 * MIB


def test_a_gpu_that_was_reset_comes_back_when_the_library_is_opened_again(fake, reader):
    fake.configure(LOST)
    reader.read()
    fake.configure(HEALTHY)

    assert states(reader.read())[3] == "lost"
    reader.tell("advance 1")
    assert states(reader.read())[3] == "ok"


def test_a_gpu_that_stays_lost_makes_the_library_be_opened_more_and_more_rarely(fake, reader):
    fake.configure(LOST)

    for _ in range(100):
        reader.read()
        reader.tell("advance 1")

    # At first, and 1, 2, 4, 8, 16 and 32 seconds after the time before.
    assert fake.calls.count("nvmlInitWithFlags") == 7


def test_a_failed_driver_is_asked_again_after_a_pause(fake, reader):
    fake.configure(replace(HEALTHY, init_error=9))
    reader.read()
    fake.configure(HEALTHY)

    assert reader.read()["driver_state"] == "not-loaded"
    reader.tell("advance 1")
    assert reader.read()["driver_state"] == "ok"


def test_an_upgrade_while_it_runs_is_noticed_and_its_end_too(fake, reader):
    reader.read()
    fake.configure(replace(HEALTHY, init_error=18))

    assert reader.read()["driver_state"] == "mismatch"
    fake.configure(replace(HEALTHY, version="590.1"))
    reader.tell("advance 1")
    assert reader.read()["driver_version"] == "590.1"


def test_somebody_else_may_shut_the_library_down(reader):
    reader.read()
    reader.tell("shutdown")

    assert reader.read()["driver_state"] == "ok"


def test_the_library_stays_open_until_it_is_closed(fake, reader):
    reader.read()
    reader.read()
    assert fake.calls.count("nvmlInitWithFlags") == 1
    assert "nvmlShutdown" not in fake.calls

    reader.tell("close")
    assert fake.calls[-1] == "nvmlShutdown"
    assert reader.read()["driver_state"] == "ok"


def test_nothing_is_asked_of_the_driver_before_somebody_looks(fake):
    program = """
        import sys
        import jupyter_dlenv, jupyter_dlenv.cli, jupyter_dlenv.server.app
        import jupyter_dlenv.configuration, jupyter_dlenv.gpus.choose, jupyter_dlenv.gpus.fence
        from jupyter_dlenv.gpus.nvml import NvmlReader
        from jupyter_dlenv.gpus.poller import GpuPoller
        GpuPoller(NvmlReader())
        assert "pynvml" not in sys.modules
    """

    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=fake.environ, check=True, timeout=60
    )

    assert fake.calls == []
