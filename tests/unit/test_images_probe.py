"""What an image says of itself is believed only where it makes sense, and asked only once."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import replace

import pytest

from jupyter_dlenv.engines.base import ImageFacts, RunResult
from jupyter_dlenv.errors import EngineTimeoutError, ImageUnsupportedError
from jupyter_dlenv.images.probe import ImageProbe, probe_command, probe_image, read_probe
from jupyter_dlenv.labels import ROLE

IMAGE = ImageFacts(id=f"sha256:{'0a' * 32}", tags=("team/image:1",), entrypoint=("/entry",))


def line(key, value):
    return f"::dlenv::{key}={value}\n"


def python(path="/usr/bin/python3", version="3.11.2", **more):
    return line("python", json.dumps({"path": path, "version": version, **more}))


OUTPUT = (
    "A banner without an end"
    "\n"
    + line("os", "ubuntu debian")
    + line("arch", "x86_64")
    + line("user", "ubuntu")
    + line("home", "/home/ubuntu")
    + line("workdir", "/workspace")
    + line("bash", "/bin/bash")
    + line("sshd", "/usr/sbin/sshd")
    + python(ipykernel="7.4.0", pip="25.0", managed=True, libc="glibc 2.39")
    + line("end", "1")
)
PROBE = ImageProbe(
    image_id=IMAGE.id,
    python="/usr/bin/python3",
    python_version="3.11.2",
    ipykernel="7.4.0",
    pip="25.0",
    externally_managed=True,
    libc="glibc 2.39",
    sshd="/usr/sbin/sshd",
    bash="/bin/bash",
    user="ubuntu",
    home="/home/ubuntu",
    workdir="/workspace",
    os_family="debian",
    architecture="x86_64",
)


class ScriptedEngine:
    """An engine whose ``run`` gives the results in turn, and remembers the plans."""

    def __init__(self, *results):
        self.results = list(results)
        self.plans = []

    async def run(self, plan, *, timeout):
        self.plans.append(plan)
        # Other tasks get their turn, as they do while a container runs.
        await asyncio.sleep(0)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def ran(output):
    return RunResult(exit_code=0, stdout=output.encode(), stderr=b"")


async def look(engine, tmp_path, image=IMAGE):
    return await probe_image(engine, image, labels={"mine": "1"}, cache_dir=tmp_path)


def test_only_marked_lines_count():
    assert read_probe(OUTPUT, image_id=IMAGE.id) == PROBE
    assert read_probe(OUTPUT.replace("\n", "\r\n"), image_id=IMAGE.id) == PROBE


def test_output_that_breaks_off_is_no_probe():
    assert read_probe(OUTPUT.replace("::dlenv::end", ""), image_id=IMAGE.id) is None


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([python("/a"), python("/b", ipykernel="6.0")], "/b"),
        ([python("/a"), python("/b")], "/a"),
        ([python("/a", ipykernel="7.0"), python("/b", ipykernel="6.0")], "/a"),
        ([python("relative", ipykernel="7.0"), python("/b")], "/b"),
        ([python("/a", version="; rm -rf /"), python("/b")], "/b"),
        (["::dlenv::python={broken\n", "::dlenv::python=[]\n"], ""),
        ([], ""),
    ],
)
def test_the_first_python_with_a_kernel_is_chosen_or_else_the_first(candidates, expected):
    probe = read_probe("".join(candidates) + line("end", "1"), image_id="i")

    assert expected == probe.python


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("home", "relative"),
        ("home", "/home/\x1b[31m"),
        ("user", "a b"),
        ("user", "$(id)"),
        ("sshd", "sshd"),
        ("arch", "x" * 100),
    ],
)
def test_values_that_make_no_sense_count_as_not_found(key, value):
    probe = read_probe(line(key, value) + line("end", "1"), image_id="i")

    assert probe == ImageProbe(image_id="i")


@pytest.mark.parametrize(
    ("said", "family"),
    [
        ("debian ", "debian"),
        ("ubuntu debian", "debian"),
        ("linuxmint ubuntu debian", "debian"),
        ("rhel fedora", "redhat"),
        ("rocky rhel centos fedora", "redhat"),
        ("fedora ", "redhat"),
        ("opensuse-leap suse opensuse", "suse"),
        ("sles suse", "suse"),
        ("alpine ", "alpine"),
        ("wolfi ", "wolfi"),
        ("", ""),
    ],
)
def test_relatives_are_of_one_family(said, family):
    assert family == read_probe(line("os", said) + line("end", "1"), image_id="i").os_family


def test_the_script_runs_in_a_plain_shell_and_finds_a_python():
    done = subprocess.run(probe_command(), capture_output=True, text=True, check=True, timeout=60)

    probe = read_probe(done.stdout, image_id="i")

    assert probe.python.startswith("/")
    assert probe.architecture


async def test_an_image_is_looked_into_once_without_a_network(tmp_path):
    engine = ScriptedEngine(ran(OUTPUT))

    first = await look(engine, tmp_path)
    second = await look(engine, tmp_path)

    assert first == second == PROBE
    (plan,) = engine.plans
    assert not plan.network
    assert plan.entrypoint is None
    assert plan.labels == {"mine": "1", ROLE: "probe"}


async def test_launches_at_once_look_once(tmp_path):
    engine = ScriptedEngine(ran(OUTPUT))

    probes = await asyncio.gather(*(look(engine, tmp_path) for _ in range(5)))

    assert [PROBE] * 5 == probes


@pytest.mark.parametrize(
    "first", [ran("Usage: server [options]"), EngineTimeoutError("too long")], ids=str
)
async def test_an_entrypoint_that_runs_no_commands_is_bypassed(tmp_path, first):
    engine = ScriptedEngine(first, ran(OUTPUT))

    probe = await look(engine, tmp_path)

    assert probe == replace(PROBE, entrypoint_runs_commands=False)
    assert [plan.entrypoint for plan in engine.plans] == [None, ()]
    assert probe == await look(engine, tmp_path)


async def test_an_entrypoint_that_is_known_is_not_tried_again(tmp_path):
    engine = ScriptedEngine(ran(OUTPUT))

    probe = await probe_image(engine, IMAGE, labels={}, cache_dir=tmp_path, try_entrypoint=False)

    assert probe == replace(PROBE, entrypoint_runs_commands=False)
    assert [plan.entrypoint for plan in engine.plans] == [()]


async def test_an_image_without_a_shell_is_refused_with_what_it_said(tmp_path):
    missing = RunResult(exit_code=127, stdout=b"", stderr=b"exec /bin/sh failed")
    engine = ScriptedEngine(missing)

    with pytest.raises(ImageUnsupportedError) as refused:
        await look(engine, tmp_path, replace(IMAGE, entrypoint=()))

    assert "team/image:1" in str(refused.value)
    assert "exit code 127\nexec /bin/sh failed" == refused.value.detail


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        json.dumps({**PROBE.to_json(), "format": 0}),
        json.dumps({**PROBE.to_json(), "python": 3}),
        json.dumps({**PROBE.to_json(), "image_id": "sha256:another"}),
    ],
)
async def test_a_damaged_memory_is_replaced(tmp_path, content):
    await look(ScriptedEngine(ran(OUTPUT)), tmp_path)
    (memory,) = tmp_path.glob("*.json")
    memory.write_text(content)

    probe = await look(ScriptedEngine(ran(OUTPUT)), tmp_path)

    assert probe == PROBE
    assert probe == ImageProbe.from_json(json.loads(memory.read_text()))
