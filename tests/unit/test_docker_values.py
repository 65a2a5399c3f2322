"""What Docker is asked for, and how its answers are read."""

from __future__ import annotations

import pytest

from jupyter_dlenv.engines.base import ContainerPlan, Volume
from jupyter_dlenv.engines.docker_gpus import GpuAnswer
from jupyter_dlenv.engines.docker_values import (
    asked_ports,
    container_state,
    create_request,
    engine_facts,
    image_facts,
    moment,
)
from jupyter_dlenv.models import Mount, PortMapping, Ulimit

CONTAINER = {
    "Id": "abc",
    "Name": "/dlenv.me.a",
    "Created": "2026-11-24T00:38:48.819858547Z",
    "Image": "sha256:1",
    "Config": {"Labels": {"key": "value"}},
    "State": {"Status": "running", "StartedAt": "2026-11-24T00:38:49Z", "ExitCode": 0},
    "NetworkSettings": {"Ports": {}},
}


def test_everything_of_a_plan_is_asked_for():
    plan = ContainerPlan(
        name="dlenv.me.a",
        image="sha256:1",
        command=("python3", "/opt/agent"),
        entrypoint=("/entry",),
        labels={"key": "value"},
        env={"COLOUR": "red"},
        user="1000:1000",
        workdir="/data",
        hostname="a",
        mounts=(
            Mount(source="/srv", target="/data"),
            Mount(source="/etc/ssl", target="/ca", read_only=True),
        ),
        volumes=(Volume(name="home", target="/home/dlenv", labels={"id": "1"}),),
        ports=(
            PortMapping(container_port=22, host_port=7603),
            PortMapping(container_port=22, host_ip="0.0.0.0"),
            PortMapping(container_port=8888),
        ),
        shm_size=1024**3,
        ulimits=(Ulimit(name="memlock", soft=-1, hard=-1),),
        gpus=("GPU-1",),
        network=False,
    )
    gpus = GpuAnswer(device_requests=[{"Driver": "cdi"}], env={"SEEN": "1"}, runtime="other")
    assert create_request(plan, gpus) == {
        "Image": "sha256:1",
        "Cmd": ["python3", "/opt/agent"],
        "Entrypoint": ["/entry"],
        "Env": ["COLOUR=red", "SEEN=1"],
        "Labels": {"key": "value"},
        "ExposedPorts": {"22/tcp": {}, "8888/tcp": {}},
        "User": "1000:1000",
        "WorkingDir": "/data",
        "Hostname": "a",
        "HostConfig": {
            "Init": True,
            "Mounts": [
                {"Type": "bind", "Source": "/srv", "Target": "/data", "ReadOnly": False},
                {"Type": "bind", "Source": "/etc/ssl", "Target": "/ca", "ReadOnly": True},
                {
                    "Type": "volume",
                    "Source": "home",
                    "Target": "/home/dlenv",
                    "VolumeOptions": {"Labels": {"id": "1"}},
                },
            ],
            "PortBindings": {
                "22/tcp": [
                    {"HostIp": "127.0.0.1", "HostPort": "7603"},
                    {"HostIp": "0.0.0.0", "HostPort": ""},
                ],
                "8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
            },
            "Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}],
            "DeviceRequests": [{"Driver": "cdi"}],
            "RestartPolicy": {"Name": "no"},
            "Runtime": "other",
            "ShmSize": 1024**3,
            "NetworkMode": "none",
        },
    }


def test_a_short_plan_leaves_the_image_as_it_is():
    assert create_request(ContainerPlan(name="a", image="i", command=())) == {
        "Image": "i",
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "Labels": {},
        "ExposedPorts": {},
        "User": "",
        "WorkingDir": "",
        "Hostname": "",
        "HostConfig": {
            "Init": True,
            "Mounts": [],
            "PortBindings": {},
            "Ulimits": [],
            "DeviceRequests": [],
            "RestartPolicy": {"Name": "no"},
        },
    }


def test_no_gpus_cannot_be_overruled_by_a_variable():
    env = {"NVIDIA_VISIBLE_DEVICES": "all"}
    request = create_request(ContainerPlan(name="a", image="i", command=(), env=env))
    assert request["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]


def test_an_empty_entrypoint_removes_the_one_of_the_image():
    plan = ContainerPlan(name="a", image="i", command=("sh",), entrypoint=())
    assert create_request(plan)["Entrypoint"] == [""]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("created", "created"),
        ("running", "running"),
        ("paused", "running"),
        ("restarting", "running"),
        ("exited", "exited"),
        ("dead", "exited"),
        ("removing", "exited"),
    ],
)
def test_docker_has_finer_words_for_states(said, state):
    info = {**CONTAINER, "State": {**CONTAINER["State"], "Status": said}}
    assert container_state(info).state == state


def test_an_exit_code_is_known_only_of_what_has_exited():
    exited = {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "StartedAt": ""}
    state = container_state({**CONTAINER, "State": exited})
    assert (state.exit_code, state.out_of_memory) == (137, True)
    failed = {"Status": "created", "ExitCode": 128, "Error": "hook", "StartedAt": "0001-01-01T"}
    state = container_state({**CONTAINER, "State": failed})
    assert (state.exit_code, state.error, state.started) == (None, "hook", "")


def test_published_ports_are_those_that_the_engine_chose():
    ports = {
        "22/tcp": [
            {"HostIp": "127.0.0.1", "HostPort": "32768"},
            {"HostIp": "::", "HostPort": "32768"},
        ],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "8888/tcp": None,
    }
    state = container_state({**CONTAINER, "NetworkSettings": {"Ports": ports}})
    assert state.ports == (
        PortMapping(container_port=22, host_port=32768),
        PortMapping(container_port=80, host_port=8080, host_ip="0.0.0.0"),
    )


def test_a_port_that_the_engine_is_to_choose_was_asked_for_as_0():
    bindings = {
        "22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "7603"}],
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
        "8888/tcp": None,
    }
    assert asked_ports({"HostConfig": {"PortBindings": bindings}}) == {7603, 0}
    assert asked_ports({"HostConfig": {"PortBindings": None}}) == set()


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2026-11-24T00:38:48.819858547Z", "2026-11-24T00:38:48.819858Z"),
        ("2026-11-24T00:38:48.8Z", "2026-11-24T00:38:48.800000Z"),
        ("2026-11-24T00:38:48Z", "2026-11-24T00:38:48.000000Z"),
        ("2026-11-24T02:38:48.1+02:00", "2026-11-24T00:38:48.100000Z"),
        ("0001-01-01T00:00:00Z", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_times_are_read_with_any_number_of_decimals(said, read):
    assert moment(said) == read


def test_an_image_without_a_configuration_is_read():
    facts = image_facts({"Id": "sha256:1", "Config": None, "RepoTags": None})
    assert (facts.id, facts.tags, facts.env) == ("sha256:1", (), {})


def test_a_variable_of_an_image_may_contain_an_equals_sign():
    facts = image_facts({"Id": "sha256:1", "Config": {"Env": ["A=b=c", "EMPTY="]}})
    assert facts.env == {"A": "b=c", "EMPTY": ""}


def _facts(*, local=True, nvidia_hook=False, **info):
    return engine_facts(
        {"ID": "1", **info}, api_version="1.51", local=local, nvidia_hook=nvidia_hook
    )


@pytest.mark.parametrize(
    ("info", "hook", "runtime"),
    [
        ({}, False, ""),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=GPU-1"}]}, True, "cdi"),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "example.com/x=1"}]}, True, "nvidia"),
        ({"Runtimes": {"nvidia": {}}}, True, "nvidia"),
        ({"Runtimes": {"nvidia": {}, "runc": {}}, "DiscoveredDevices": None}, False, "runtime"),
    ],
)
def test_gpus_are_asked_for_in_the_best_way_that_the_engine_has(info, hook, runtime):
    assert _facts(nvidia_hook=hook, **info).gpu_runtime == runtime


def test_docker_desktop_is_not_this_machine():
    facts = _facts(OperatingSystem="Docker Desktop", nvidia_hook=True)
    assert not facts.local
    assert facts.gpu_runtime == ""


def test_a_rootless_engine_says_so():
    assert _facts(SecurityOptions=["name=seccomp,profile=builtin", "name=rootless"]).rootless
    assert not _facts(SecurityOptions=None).rootless
