"""Environments from a script: launched, run in, looked at, removed."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys

import numpy
import pandas
import pytest
from rig.agents import until

import jupyter_dlenv as dl
from jupyter_dlenv import aio
from jupyter_dlenv.errors import (
    CellFailedError,
    EnvironmentNotFoundError,
    InvalidSpecError,
    KernelGoneError,
    NotCarriedError,
)

any_engine = pytest.mark.parametrize("engine_name", ["process"], indirect=True)


ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def image(spec):
    return spec.image


@pytest.fixture(autouse=True)
def here(configured, environments, engine_name, tmp_path, monkeypatch):
    """Go to a directory that can be mounted; the API sees what ``environments`` sees."""
    monkeypatch.setenv("DLENV_ENGINE", engine_name)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def env(image):
    with dl.launch(image, name="a") as env:
        yield env


def test_a_script_launches_runs_and_leaves_nothing(image, here):
    with dl.launch(image, name="s", env={"COLOUR": "blue"}) as env:
        result = env.run("import os, sys; print('warn', file=sys.stderr); os.environ['COLOUR']")
        assert ("s", "running") == (env.name, env.status.value)
        assert env.ssh_command.endswith(" s")
        env.run("open('made', 'w').write('x'); n = 20")
        more = env.run("print(n)\nn + 1")

    assert ("'blue'", "warn\n") == (result.text, result.stderr)
    assert ("21", "20\n") == (more.text, more.stdout)
    assert (here / "made").exists()
    with pytest.raises(EnvironmentNotFoundError):
        dl.get("s")


@any_engine
def test_an_error_has_the_name_and_the_traceback_that_it_had_inside(env):
    with pytest.raises(CellFailedError, match="division by zero") as raised:
        env.run("def f():\n    return 1 / 0\nf()")

    assert ("ZeroDivisionError", "ZeroDivisionError") == (
        raised.value.ename,
        type(raised.value).__name__,
    )
    assert "line 2" in ANSI.sub("", raised.value.detail)
    assert "2\n" == env.run("print(1 + 1)").stdout


@any_engine
def test_a_figure_is_drawn_as_in_any_notebook(env):
    result = env.run("import matplotlib.pyplot as p; p.plot([1, 2]); p.show()")

    assert ["image/png" in output.get("data", ()) for output in result.outputs] == [True]


@any_engine
def test_a_table_comes_out_as_it_went_in_or_is_refused(env):
    table = pandas.DataFrame(
        {
            "number": numpy.arange(3),
            "missing": [0.5, None, 2],
            "text": ["a", None, "c"],
            "moment": pandas.date_range("2026-01-01", periods=3),
            "flag": [True, False, True],
        },
        index=["p", "q", "r"],
    )

    back = env.run("b = a", inputs={"a": table}, outputs=["b"]).variables["b"]

    pandas.testing.assert_frame_equal(back, table)
    for column in (pandas.Categorical(["x", "y", "x"]), pandas.array([1, None, 2], "Int64")):
        with pytest.raises(NotCarriedError):
            env.run("b = a", inputs={"a": table.assign(column=column)})


@any_engine
def test_values_go_in_and_come_out_as_they_were(env):
    numpy = pytest.importorskip("numpy")
    values = {
        "plain": [None, True, 2.5, float("inf"), "ä", (1, {2}), {"k": b"\0", (1, 2): []}, 1j],
        "fortran": numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        "records": numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "times": numpy.array(["2026-01-01"], "M8[D]"),
        "scalar": numpy.float32(1.5),
        "empty": numpy.zeros((0, 3)),
    }

    back = env.run("", inputs=values, outputs=list(values)).variables

    assert values["plain"] == back["plain"]
    for name in ("fortran", "records", "times", "empty"):
        assert numpy.array_equal(values[name], back[name]), name
        assert values[name].dtype == back[name].dtype
        assert values[name].flags.f_contiguous == back[name].flags.f_contiguous
    assert back["fortran"].flags.writeable
    assert (1.5, numpy.float32) == (back["scalar"], type(back["scalar"]))


@any_engine
def test_nothing_is_unpickled_on_the_host_unasked(env, here):
    trap = "import os\nclass Trap:\n    def __reduce__(self):\n        return os.mkdir, ('sprung',)"
    env.run(f"{trap}\ntrap = Trap()")
    # As an environment would answer that does not keep to the rules.
    forge = (
        "import gc, types\n"
        "for o in gc.get_objects():\n"
        "    if isinstance(o, types.ModuleType) and o.__name__ == 'dlenv_portable':\n"
        "        o._encode = lambda value, buffers, depth, o=o: o._pickle(value, buffers)\n"
    )

    with pytest.raises(NotCarriedError, match="trap") as refused:
        env.run("", outputs=["trap"])
    env.run(forge)
    with pytest.raises(NotCarriedError, match="trap") as forged:
        env.run("", outputs=["trap"])

    assert "without pickle" in refused.value.detail
    assert "not unpickled unasked" in forged.value.detail
    assert not (here / "sprung").exists()
    env.run("", outputs=["trap"], pickled=True)
    assert (here / "sprung").exists()


@any_engine
def test_a_kernel_that_ended_is_told_and_followed_by_a_new_one(env):
    env.run("n = 1")

    with pytest.raises(KernelGoneError):
        env.run("import os; os._exit(3)")

    with pytest.raises(CellFailedError, match="not defined"):
        env.run("n")


@any_engine
def test_one_that_is_got_stays_and_can_be_stopped_and_started(env):
    with dl.get("a") as same:
        assert "7\n" == same.run("print(7)").stdout
        assert "stopped" == same.stop().status.value
        # A stopped one is started by whoever runs something.
        assert "8\n" == same.run("print(8)").stdout

    assert "running" == dl.get("a").status.value


@any_engine
def test_a_wrong_wish_is_refused_before_anything_is_made(image):
    with pytest.raises(InvalidSpecError, match="colour"):
        dl.launch(image, name="w", colour="blue")


@any_engine
async def test_the_same_works_on_an_event_loop_and_a_cancelled_run_is_interrupted(image, here):
    async with await aio.launch(image, name="b") as env:
        await env.run("n = 1")
        code = "import time; open('begun', 'w').close(); time.sleep(60); n = 2"
        running = asyncio.ensure_future(env.run(code))
        await until((here / "begun").exists)
        running.cancel()
        await asyncio.wait({running})

        assert running.cancelled()
        assert "1" == (await env.run("n")).text


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, json, jupyter_dlenv; jupyter_dlenv.__dir__();"
        "print(json.dumps([m for m in ('docker', 'zmq', 'tornado', 'asyncio', 'IPython')"
        " if m in sys.modules]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert [] == json.loads(done.stdout)
