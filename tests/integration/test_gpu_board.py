"""Our board of GPUs says the same as gpustat and nvitop, of any GPUs, at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pexpect
import pytest
from rig.nvml import MIB, FakeDriver, FakeGpu, FakeMig, FakeNvml, FakeProcess, build, gpu_uuid

from jupyter_dlenv.gpus.processes import sees_the_hosts_processes

PROGRAMS = Path(sys.executable).parent
SCHEMA = json.loads((resources.files("jupyter_dlenv.cli") / "schema.json").read_text())
LIMIT = 60

#: Prints what nvitop knows, of GPUs and of their MIG devices.
NVITOP = """
import json
from nvitop import Device, MigDevice
def known(value):
    return value if isinstance(value, (int, float)) else None
def facts(device):
    return {
        "memory": known(device.memory_used()),
        "utilization": known(device.gpu_utilization()),
        "pids": sorted(device.processes()),
    }
print(json.dumps([
    facts(d) | {"name": str(d.name()), "migs": [facts(m) for m in d.mig_devices()]}
    for d in Device.all()
]))
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def fake(library, tmp_path):
    return FakeNvml(library, tmp_path)


@pytest.fixture
def busy():
    """Return eight GPUs in all states, used by processes that exist."""
    mine, parents = os.getpid(), os.getppid()
    compute = [FakeProcess(pid=mine, memory=19_000 * MIB), FakeProcess(pid=parents, memory=MIB)]
    both = [FakeProcess(pid=mine), FakeProcess(pid=mine, kind="G")]
    in_part = FakeMig(
        index=0, used=8_000 * MIB, processes=[FakeProcess(pid=mine, memory=7_000 * MIB)]
    )
    driver = FakeDriver(nvlinks=[(0, 1), (4, 5)])
    for index, gpu in {
        0: FakeGpu(used=20_000 * MIB, utilization=97, temperature=71, processes=compute),
        2: FakeGpu(used=9_000 * MIB, migs=[in_part, FakeMig(index=1)]),
        3: FakeGpu(lost=True),
        4: FakeGpu(used=450 * MIB, processes=[FakeProcess(pid=parents, memory=MIB, kind="G")]),
        5: FakeGpu(error=999),
        7: FakeGpu(used=3_000 * MIB, utilization=1, processes=both),
    }.items():
        driver = driver.with_gpu(index, gpu)
    return driver


@pytest.fixture
def later(busy):
    """Return the same GPUs a while later: nearly everything is different."""
    return replace(
        busy.with_gpu(0, FakeGpu(temperature=35))
        .with_gpu(1, FakeGpu(used=70_000 * MIB, utilization=100, power=690_000))
        .with_gpu(2, FakeGpu(used=MIB))
        .with_gpu(6, FakeGpu(lost=True)),
        version="590.44.01",
    )


def run(fake, *words):
    return subprocess.run(
        words, env=fake.environ, capture_output=True, text=True, timeout=LIMIT, check=True
    ).stdout


def ours(fake):
    result = json.loads(run(fake, PROGRAMS / "jupyter-dlenv", "gpus", "--json"))
    jsonschema.validate(result, SCHEMA)
    return result["inventory"]


def figures_of_gpustat(fake):
    """Return what gpustat says: of GPUs that are in error, only how it calls them."""
    said = json.loads(run(fake, PROGRAMS / "gpustat", "--json"))
    figures = []
    for gpu in said["gpus"]:
        if gpu["processes"] is None:
            figures.append((gpu["index"], gpu["name"].strip("()")))
            continue
        # In a container it names processes that only have the same numbers; we do not.
        visible = sees_the_hosts_processes()
        users = [
            (
                *(p["pid"], p["username"] if visible else "", p["gpu_memory_usage"]),
                " ".join(p["full_command"]) if visible else "",
            )
            for p in gpu["processes"]
        ]
        keys = ("memory.used", "memory.total", "utilization.gpu", "temperature.gpu", "power.draw")
        figures.append((gpu["index"], gpu["uuid"], *(gpu[key] for key in keys), users))
    return said["driver_version"], figures


def figures_of_ours(inventory):
    figures = []
    for gpu in inventory["gpus"]:
        if gpu["state"] != "ok":
            figures.append((gpu["index"], gpu["error"]))
            continue
        users = [
            (p["pid"], p["user"], p["memory"] and p["memory"] // MIB, p["command"])
            for p in gpu["processes"]
        ]
        figures.append(
            (
                *(gpu["index"], gpu["uuid"], gpu["memory_used"] // MIB),
                *(gpu["memory_total"] // MIB, gpu["utilization"], gpu["temperature"]),
                *(int(gpu["power"]), users),
            )
        )
    return inventory["driver_version"], figures


def agree_with_gpustat(fake, inventory):
    (our_version, our_gpus), (version, gpus) = figures_of_ours(inventory), figures_of_gpustat(fake)
    assert our_version == version
    assert our_gpus == gpus


def test_gpustat_says_the_same(fake, busy):
    fake.configure(busy)

    agree_with_gpustat(fake, ours(fake))


def test_gpustat_says_the_same_after_everything_changed_while_we_watched(fake, busy, later):
    fake.configure(busy)
    words = [PROGRAMS / "jupyter-dlenv", "gpus", "--watch", "--json"]
    with subprocess.Popen(words, env=fake.environ, stdout=subprocess.PIPE, text=True) as watching:
        first = json.loads(watching.stdout.readline())
        agree_with_gpustat(fake, first["inventory"])

        fake.configure(later)
        # The second reading may have been under way.
        watching.stdout.readline()
        after = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        code = watching.wait(LIMIT)

    jsonschema.validate(after, SCHEMA)
    assert [g["state"] for g in after["inventory"]["gpus"]].count("lost") == 2
    agree_with_gpustat(fake, after["inventory"])
    assert code == 130


def test_nvitop_says_the_same(fake, busy):
    fake.configure(busy)
    inventory = ours(fake)

    theirs = json.loads(run(fake, sys.executable, "-c", NVITOP))

    def facts(device, utilization=None):
        return {
            "memory": device["memory_used"],
            "utilization": utilization,
            "pids": sorted(p["pid"] for p in device["processes"]),
        }

    for gpu, said in zip(inventory["gpus"], theirs, strict=True):
        if gpu["state"] != "ok":
            assert (said["memory"], said["pids"]) == (None, [])
            continue
        assert said["name"] == gpu["name"]
        assert said["migs"] == [facts(mig) for mig in gpu["mig_devices"]]
        expected = facts(gpu, gpu["utilization"])
        if gpu["mig_enabled"]:
            # It lists them below the parts only.
            expected["pids"] = []
            said["pids"] = []
        assert {key: said[key] for key in expected} == expected


@pytest.mark.parametrize("number", [9, 12, 18, 999])
def test_a_broken_driver_is_said_and_is_no_failure(fake, number, monkeypatch):
    # Where the tests run in a container themselves, Docker would be asked for what is missing.
    monkeypatch.setenv("DLENV_ENGINE", "process")
    fake.configure(FakeDriver(init_error=number))

    assert ours(fake)["driver_state"] != "ok"
    assert "driver" in run(fake, PROGRAMS / "jupyter-dlenv", "gpus")


def test_it_needs_no_engine(fake, monkeypatch):
    monkeypatch.setenv("DLENV_ENGINE", "tcp://127.0.0.1:9")

    assert len(ours(fake)["gpus"]) == 8


def test_the_board_on_a_terminal_has_a_line_for_each_gpu_and_part(fake, busy):
    fake.configure(busy)

    lines = run(fake, PROGRAMS / "jupyter-dlenv", "gpus").splitlines()

    def line(label):
        return next(x for x in lines if x.strip().startswith(f"{label} "))

    assert "590" not in lines[0]
    assert "580.95.05" in lines[0]
    assert "19.5/80 GiB" in line("0")
    assert "97 %" in line("0")
    assert "71 °C" in line("0")
    assert "72 W" in line("0")
    assert "process" in line("0")
    assert line("1").rstrip().endswith("idle")
    assert "in MIG mode" in line("2")
    assert "1g.10gb" in line("2:0")
    assert line("2:1").rstrip().endswith("idle")
    assert line("3").rstrip().endswith("lost")
    assert "in error: Unknown Error" in line("5")


def test_gpus_outside_the_servers_own_are_marked(fake, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")

    result = json.loads(run(fake, PROGRAMS / "jupyter-dlenv", "gpus", "--json"))

    assert result["fenced"] == {gpu_uuid(i): "not in CUDA_VISIBLE_DEVICES" for i in range(1, 8)}
    assert "idle, but not in CUDA_VISIBLE_DEVICES" in run(fake, PROGRAMS / "jupyter-dlenv", "gpus")


def test_watching_on_a_terminal_redraws_until_ctrl_c(fake, busy, later):
    fake.configure(busy)
    terminal = pexpect.spawn(
        str(PROGRAMS / "jupyter-dlenv"),
        ["gpus", "--watch"],
        env=fake.environ | {"TERM": "xterm"},
        dimensions=(40, 80),
        encoding="utf-8",
        timeout=LIMIT,
    )
    terminal.expect("580.95.05")

    fake.configure(later)
    terminal.expect("590.44.01")
    terminal.expect("68.4/80 GiB")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 130
    assert "Traceback" not in terminal.before
