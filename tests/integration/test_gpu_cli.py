"""GPUs at the command line: asked for, shown, waited for, and changed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from rig.nvml import gpu_uuid

PROGRAM = Path(sys.executable).parent / "jupyter-dlenv"
LIMIT = 60


@pytest.fixture
def ask(project, driver, schema):
    """Return a function that runs a command on a machine with GPUs; it reads what is printed."""

    def ask_one(*words):
        command = [PROGRAM, *words, "--json"]
        done = subprocess.run(
            command, env=driver.environ, capture_output=True, text=True, timeout=LIMIT
        )
        result = json.loads(done.stdout)
        jsonschema.validate(result, schema)
        return done.returncode, result

    return ask_one


@pytest.fixture
def launch(ask, image):
    return lambda name, *words: ask("launch", image, "--name", name, "--no-mount", "-q", *words)


@pytest.mark.parametrize("engine_name", ["process"], indirect=True)
def test_the_story_of_a_gpu(ask, launch, owner, driver, image):
    code, launched = launch("a", "--gpus", "device=2")
    assert (0, [gpu_uuid(2)]) == (code, launched["environment"]["gpu_uuids"])
    assert {gpu_uuid(2): f"environment a of {owner}"} == ask("gpus")[1]["holders"]

    code, refused = launch("b", "--gpus", "all")
    assert (8, "no-free-gpu") == (code, refused["error"]["code"])
    assert f"GPU 2: environment a of {owner}" in refused["error"]["detail"]
    assert 2 == launch("b", "--gpus", "two")[0]

    assert 0 == ask("stop", "a")[0]
    assert 0 == launch("c", "--gpus", "GPU-00000002")[0]
    code, taken = ask("start", "a")
    assert (8, "gpus-taken") == (code, taken["error"]["code"])

    # Nobody is there to answer.
    assert 2 == ask("recreate", "a")[0]
    code, recreated = ask("recreate", "a", "--yes")
    assert (0, "running") == (code, recreated["environment"]["status"])
    assert [gpu_uuid(3)] == recreated["environment"]["gpu_uuids"]


@pytest.mark.parametrize("engine_name", ["process"], indirect=True)
def test_who_waits_sees_the_place_and_leaves_with_ctrl_c(ask, launch, driver, image):
    assert 0 == launch("a", "--gpus", "7")[0]
    words = ["launch", image, "--name", "b", "--no-mount", "--gpus", "2", "--wait-for-gpus"]
    with subprocess.Popen(
        [PROGRAM, *words], env=driver.environ, stderr=subprocess.PIPE, text=True
    ) as waiting:
        place = next(line for line in waiting.stderr if line.startswith("Waiting"))
        waiting.send_signal(signal.SIGINT)
        code = waiting.wait(LIMIT)

    assert "Waiting in line for 2 GPUs: place 1 of 1 …" == place.strip()
    assert 130 == code
    # What was kept for it is free again.
    assert 0 == launch("c", "--gpus", "1")[0]
