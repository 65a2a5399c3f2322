"""Nobody but the caller reaches an environment's sockets, and none is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_dlenv.runtime_dirs import RuntimeDirs


@pytest.fixture
def dirs(tmp_path):
    return RuntimeDirs(tmp_path / "run")


def mode(path):
    return path.stat().st_mode & 0o777


def test_the_outer_directory_is_the_callers_alone_and_the_inner_is_open(dirs, tmp_path):
    dirs.make(dirs.path("0123456789"), engine_id="e")

    assert (0o700, 0o777) == (mode(tmp_path / "run/0123456789"), mode(dirs.path("0123456789")))


def test_making_twice_keeps_what_is_there(dirs):
    dirs.make(dirs.path("1"), engine_id="e")
    (dirs.path("1") / "agent.sock").touch()

    dirs.make(dirs.path("1"), engine_id="e")

    assert (dirs.path("1") / "agent.sock").exists()


def test_discarding_what_is_not_there_is_no_error(dirs):
    dirs.discard(dirs.path("1"))


def test_a_sweep_spares_the_known_and_the_launches_of_living_processes(dirs):
    dirs.make(dirs.path("known"), engine_id="e")
    dirs.make(dirs.path("mine"), engine_id="e")

    dirs.sweep({"known"}, engine_id="e")

    assert dirs.path("known").exists()
    assert dirs.path("mine").exists()


def test_a_sweep_removes_what_a_killed_launch_on_this_engine_left(dirs, tmp_path):
    code = (
        "import sys, pathlib; from jupyter_dlenv.runtime_dirs import RuntimeDirs;"
        "d = RuntimeDirs(pathlib.Path(sys.argv[1]));"
        "d.make(d.path('left'), engine_id='e'); d.make(d.path('elsewhere'), engine_id='f')"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "run"], check=True)

    dirs.sweep(set(), engine_id="e")

    assert not dirs.path("left").exists()
    assert dirs.path("elsewhere").exists()


def test_a_sweep_removes_what_was_not_complete_when_its_maker_was_killed(dirs, tmp_path):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    left, ours = (tmp_path / f"run/0123456789.new-{pid}" for pid in (ended.pid, os.getpid()))
    for directory in (left, ours):
        directory.mkdir(parents=True)

    dirs.sweep(set(), engine_id="e")

    assert (False, True) == (left.exists(), ours.exists())


def test_a_directory_that_another_process_of_the_caller_made_is_trusted(dirs, tmp_path):
    other = RuntimeDirs(tmp_path / "other")
    other.make(other.path("1"), engine_id="e")

    assert dirs.trusts(other.path("1"), "1")


def test_a_directory_that_anybody_can_reach_is_not_trusted(dirs, tmp_path):
    theirs = tmp_path / "1" / "s"
    theirs.mkdir(parents=True)
    theirs.parent.chmod(0o755)

    assert not dirs.trusts(theirs, "1")


@pytest.mark.parametrize("path", ["/root/.ssh", "/root/1/s", "/1/s/../../etc/s"])
def test_a_directory_that_is_not_there_is_trusted_only_below_the_callers_own(dirs, path):
    assert not dirs.trusts(Path(path), "1")
    assert dirs.trusts(dirs.path("1"), "1")
