"""Images through the doors: the command line, and launches that share one pull."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pexpect
import pytest
from rig.ngc import REPOSITORY
from rig.nvml import FakeDriver, FakeGpu, FakeNvml, build

from jupyter_dlenv.images.catalogue import Catalogue
from jupyter_dlenv.models import EnvironmentSpec

PROGRAM = Path(sys.executable).with_name("jupyter-dlenv")
SCHEMA = json.loads((resources.files("jupyter_dlenv.cli") / "schema.json").read_text())


@pytest.fixture
def engine_name(docker_engine_url, images):
    images.ensure("kernel")
    return "docker"


@pytest.fixture
def run(docker_engine_url, gate, jp_config_dir):
    """Return a function that runs ``jupyter dlenv … --json`` where the registry is NVIDIA's."""
    (jp_config_dir / "jupyter_dlenv_config.json").write_text(
        json.dumps({"Configuration": {"catalogue_registry": gate.address}})
    )

    def one(*words, env=None):
        done = subprocess.run(
            [PROGRAM, *words, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        assert "Traceback" not in done.stderr
        printed = json.loads(done.stdout)
        jsonschema.validate(printed, SCHEMA)
        return done.returncode, printed

    return one


def test_what_an_image_means_is_said_and_then_it_is_fetched_once(run, publish):
    name = publish("30.01-py3", sizes=(1000,))

    _, listed = run("images", "--tags", "pytorch")
    _, said = run("pull", "pytorch", "--dry-run")
    code, fetched = run("pull", "pytorch")
    _, again = run("pull", "pytorch")
    _, ready = run("images")

    assert listed["tags"]["tags"][0] == {"tag": "30.01-py3", "ready": False}
    assert (said["sheet"]["image"], said["sheet"]["here"]) == (name, False)
    assert (code, fetched["pull"]["fetched"], again["pull"]["fetched"]) == (0, True, False)
    offer = next(o for o in ready["offers"] if o["name"] == "pytorch")
    assert offer["ready"] == ["30.01-py3"]


def test_what_will_not_work_is_refused_where_nobody_can_be_asked(run, publish, tmp_path):
    fake = FakeNvml(build(tmp_path), tmp_path)
    old = FakeGpu(name="Tesla V100-SXM2-32GB", capability=70)
    fake.configure(FakeDriver(gpus=(old, old)))
    env = {"CUDA_ARCH_LIST": "7.0 7.5 8.0", "TORCH_CUDA_ARCH_LIST": ""}
    works = publish("29.11-py3", sizes=(1000,), env=env)
    name = publish("30.02-py3", sizes=(1000,))

    code, refused = run("pull", name, env=fake.environ)
    forced, _ = run("pull", name, "--yes", env=fake.environ)

    assert (6, "image-unsuitable") == (code, refused["error"]["code"])
    assert "Tesla V100" in refused["error"]["detail"]
    assert works in refused["error"]["hint"]
    assert 0 == forced


def test_a_terminal_shows_how_far_it_is_and_ctrl_c_stops_it(run, publish, gate):
    name = publish("30.03-py3")
    gate.behaviour.rate = 500_000
    terminal = pexpect.spawn(
        str(PROGRAM), ["pull", name], dimensions=(40, 100), encoding="utf-8", timeout=30
    )

    terminal.expect(r"12\.\d MB of [\d.]+ MB; the rest is here")
    terminal.expect(r"Downloading")
    terminal.expect(r"[\d.]+ [kM]B/s +\d:\d\d left")
    terminal.sendintr()
    terminal.expect("The pull was cancelled")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 130


async def test_two_launches_share_one_pull(docker_environments, publish, gate, run_id):
    """By a short name, which means the newest tag, as two users of one server would."""
    name = publish("30.04-py3")
    gate.behaviour.rate = 3_000_000
    environments = docker_environments(catalogue=Catalogue.load(registry=gate.address))
    sheet = await environments.library.sheet("pytorch")
    gate.traffic.blobs = 0
    pulled = {"a": [], "b": []}

    def hears(who):
        return lambda report: pulled[who].append(report) if report.total else None

    launched = await asyncio.gather(
        *(
            environments.launch(EnvironmentSpec(name=who, image="pytorch"), report=hears(who))
            for who in pulled
        )
    )

    assert [e.spec.image for e in launched] == [name, name]
    assert gate.traffic.blobs == pytest.approx(sheet.download, rel=0.01)
    for reports in pulled.values():
        assert [r.current for r in reports] == sorted(r.current for r in reports)
        assert reports[-1].current == reports[-1].total == sum(x.size for x in sheet.missing)
    for environment in launched:
        await environments.remove(environment.name)


async def test_an_image_of_the_same_name_on_the_engine_is_meant_first(
    docker_environments, images, gate
):
    environments = docker_environments(catalogue=Catalogue.load(registry=gate.address))
    images.client.images.get(images.ensure("kernel")).tag("sglang:latest")
    try:
        resolved = await environments.library.resolve("sglang")
    finally:
        images.client.images.remove("sglang:latest")

    assert resolved == "sglang"
    assert await environments.library.resolve("pytorch:20.01-py3") == (
        f"{gate.address}/{REPOSITORY}:20.01-py3"
    )
