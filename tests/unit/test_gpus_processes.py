"""Whose a process is."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys

import pytest

from jupyter_dlenv.gpus.processes import ProcessFacts, container_id, describe, look_up

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


@pytest.mark.parametrize(
    "cgroups",
    [
        f"0::/system.slice/docker-{ID}.scope",
        f"0::/system.slice/docker-{ID}.scope/init.scope",
        f"0::/docker/{ID}",
        f"12:memory:/docker/{ID}\n11:cpu:/docker/{ID}\n0::/",
        f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
        f"0::/machine.slice/libpod-{ID}.scope",
        f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
        f"0::/kubepods/besteffort/pod1f-2e/{ID}",
        f"0::/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope",
        f"0::/../../docker-{ID}.scope",
        f"0::/docker/{OTHER}/docker/{ID}",
        f"0::/docker/{ID}/system.slice/cron.service",
    ],
)
def test_each_engines_way_to_name_a_container_is_known(cgroups):
    assert container_id(cgroups) == ID


@pytest.mark.parametrize(
    "cgroups",
    [
        "",
        "0::/",
        "0::/user.slice/user-1000.slice/session-2.scope",
        f"0::/machine.slice/libpod-conmon-{ID}.scope",
        f"0::/machine.slice/crio-conmon-{ID}.scope",
        f"0::/system.slice/docker-{ID[:12]}.scope",
        f"0::/docker/{ID}0",
        "no colons at all",
    ],
)
def test_what_is_outside_of_containers_names_none(cgroups):
    assert container_id(cgroups) == ""


def test_a_process_has_a_user_and_a_command():
    facts = look_up(os.getpid())

    assert facts.user == getpass.getuser()
    assert "python" in facts.command


def test_a_process_that_has_ended_is_no_failure():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)

    assert look_up(ended.pid) == ProcessFacts()


@pytest.mark.parametrize("pid", [-1, 2**31, 2**80])
def test_a_number_that_no_process_can_have_is_no_failure(pid):
    assert look_up(pid) == ProcessFacts()


def test_in_a_container_the_drivers_numbers_mean_other_processes(tmp_path):
    namespace = tmp_path / "self/ns/pid"
    namespace.parent.mkdir(parents=True)
    namespace.touch()

    assert describe(os.getpid(), proc=tmp_path) == ProcessFacts()
