"""From what a user wants to the container that an engine is told to make."""

from __future__ import annotations

import pytest

from jupyter_dlenv.engines.base import EngineFacts
from jupyter_dlenv.images.prepare import PreparedImage
from jupyter_dlenv.images.probe import ImageProbe
from jupyter_dlenv.labels import EnvironmentLabels, gpus_of
from jupyter_dlenv.models import EnvironmentSpec, Mount
from jupyter_dlenv.plan import (
    Caller,
    container_name,
    environment_home,
    image_container,
    is_launching,
    process_user,
)

ALICE = Caller(uid=1000, gid=100, name="alice")
FACTS = EngineFacts(id="e", kind="docker", version="28.5")


def prepared(**changes):
    probe = {
        "image_id": "sha256:1",
        "python": "/usr/bin/python3",
        "python_version": "3.12.3",
        "ipykernel": "7.4.0",
        "user": "root",
        "home": "/root",
        "workdir": "/workspace",
        "entrypoint_runs_commands": True,
    }
    return PreparedImage(image_id="sha256:1", probe=ImageProbe(**{**probe, **changes}))


def planned(image=None, uuids=(), **changes):
    image = image or prepared()
    spec = EnvironmentSpec(**{"name": "a_b", "image": "pytorch", **changes})
    labels = EnvironmentLabels(
        id="0123456789",
        owner="alice",
        spec=spec,
        launcher="h/1/2/3",
        runtime_dir="/run/user/1000/dlenv/0123456789/s",
        home=environment_home(spec, prepared=image),
        python=image.probe.python,
        gpus=uuids,
    )
    user = process_user(spec, ALICE, FACTS)
    return image_container(spec, labels=labels, prepared=image, user=user, caller=ALICE)


def test_no_two_owners_and_names_share_a_container_name():
    assert container_name("a-b", "c") != container_name("a", "b-c")


def test_the_name_says_that_the_launch_is_not_complete():
    assert is_launching(container_name("a", "b", launching=True))
    assert not is_launching(container_name("a", "b"))


@pytest.mark.parametrize(
    ("user", "rootless", "expected"),
    [
        ("caller", False, "1000:100"),
        ("caller", True, "0:0"),
        ("root", False, "0:0"),
        ("image", False, ""),
        ("5:6", False, "5:6"),
    ],
)
def test_kernels_run_as_who_was_asked_for(user, rootless, expected):
    spec = EnvironmentSpec(name="a", image="x", user=user)
    facts = EngineFacts(id="e", kind="docker", version="28.5", rootless=rootless)

    assert expected == process_user(spec, ALICE, facts)


def test_the_agent_starts_as_root_and_drops_to_the_caller():
    plan = planned()

    assert "0:0" == plan.user
    assert ("--uid", "1000", "--gid", "100", "--user-name", "alice") == plan.command[-6:]


def test_the_images_own_user_is_left_alone_and_keeps_its_home():
    plan = planned(prepared(user="rapids", home="/home/rapids"), user="image")

    assert "" == plan.user
    assert "--uid" not in plan.command
    assert ["/home/rapids"] == [volume.target for volume in plan.volumes]


def test_the_image_s_entrypoint_runs_unless_it_would_not_run_us():
    assert planned().entrypoint is None
    assert () == planned(prepared(entrypoint_runs_commands=False)).entrypoint


def test_the_home_is_a_volume_of_the_environments_own():
    (volume,) = planned().volumes

    assert ("dlenv.alice.a_b.home", "/home/dlenv") == (volume.name, volume.target)


def test_a_mount_over_the_home_takes_the_place_of_the_volume():
    assert () == planned(mounts=(Mount.parse("/data:/home/dlenv"),)).volumes


def test_the_sockets_directory_is_mounted_where_the_agent_expects_it():
    plan = planned()

    mount = plan.mounts[-1]
    assert ("/run/user/1000/dlenv/0123456789/s", "/run/dlenv") == (mount.source, mount.target)
    assert "/run/dlenv" in plan.command


def test_the_agents_source_goes_into_the_container():
    paths = {file.path for file in planned().files}

    assert "/opt/dlenv/agent/__main__.py" in paths
    assert not any("__pycache__" in path for path in paths)


def test_a_host_name_is_one_that_resolvers_take():
    assert "a-b" == planned().hostname


def test_a_lease_is_on_the_container_that_has_the_gpus_and_numbers_them_as_nvidia_smi():
    plan = planned(uuids=("GPU-1", "MIG-2"))

    assert ("GPU-1", "MIG-2") == plan.gpus == gpus_of(plan.labels)
    assert "PCI_BUS_ID" == plan.env["CUDA_DEVICE_ORDER"]
    assert "CUDA_DEVICE_ORDER" not in planned().env
