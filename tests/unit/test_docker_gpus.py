"""How each kind of Docker engine is asked for GPUs, and what containers have asked for."""

from __future__ import annotations

import pytest

from jupyter_dlenv.engines.docker_gpus import GpuAnswer, GpuOffer, devices_of

UUIDS = ("GPU-1111", "MIG-2222")
BY_CDI = [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-1111", "nvidia.com/gpu=MIG-2222"]}]
BY_DRIVER = [{"Driver": "nvidia", "DeviceIDs": list(UUIDS), "Capabilities": [["gpu"]]}]
VOID = {"NVIDIA_VISIBLE_DEVICES": "void"}
NAMED = {"NVIDIA_VISIBLE_DEVICES": "GPU-1111,MIG-2222"}


def discovered(*names):
    return {"DiscoveredDevices": [{"Source": "cdi", "ID": f"nvidia.com/gpu={n}"} for n in names]}


DIRS = {"CDISpecDirs": ["/etc/cdi"]}
RUNTIME = {"Runtimes": {"runc": {}, "nvidia": {}}}


@pytest.mark.parametrize(
    ("info", "hook", "expected"),
    [
        # 28.2 and newer.
        (discovered(*UUIDS, "all") | RUNTIME, True, GpuAnswer(device_requests=BY_CDI, env=VOID)),
        # A specification of before the last change of MIG, or of a toolkit without UUIDs.
        (discovered("0", "1") | DIRS, True, GpuAnswer(device_requests=BY_DRIVER, env=NAMED)),
        (discovered("0") | DIRS | RUNTIME, False, GpuAnswer(runtime="nvidia", env=NAMED)),
        # 20.10 to 24.
        ({}, True, GpuAnswer(device_requests=BY_DRIVER, env=NAMED)),
        (RUNTIME, False, GpuAnswer(runtime="nvidia", env=NAMED)),
        # 25 to 28.1 do not say what they know.
        (DIRS, False, GpuAnswer(device_requests=BY_CDI, env=VOID)),
        (DIRS, True, GpuAnswer(device_requests=BY_DRIVER, env=NAMED)),
        # What cannot work is asked for all the same: the engine's words say why.
        ({}, False, GpuAnswer(device_requests=BY_DRIVER, env=NAMED)),
    ],
)
def test_gpus_are_asked_for_by_uuid_in_the_way_that_the_engine_has(info, hook, expected):
    offer = GpuOffer.of(info, nvidia_hook=hook)

    assert expected == offer.request(UUIDS)
    # Whatever the engine can, no GPU is said aloud.
    assert GpuAnswer(env=VOID) == offer.request(())


def container(env=(), **host):
    return {"HostConfig": host, "Config": {"Env": list(env)}}


def asked(**request):
    return container(DeviceRequests=[request])


GPU = [["gpu"]]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (container(), ((), (), False)),
        (asked(Driver="", Count=2, Capabilities=GPU), (("0", "1"), (), False)),
        (asked(Driver="", Count=-1, Capabilities=GPU), ((), (), True)),
        (
            asked(Driver="nvidia", DeviceIDs=["1", "GPU-1"], Count=0, Capabilities=GPU),
            (("1", "GPU-1"), (), False),
        ),
        (
            asked(Driver="cdi", DeviceIDs=["nvidia.com/gpu=1:0"], Capabilities=None),
            (("1:0",), (), False),
        ),
        (asked(Driver="cdi", DeviceIDs=["nvidia.com/gpu=all"]), ((), (), True)),
        (asked(Driver="cdi", DeviceIDs=["vendor.com/nic=0"]), ((), (), False)),
        (asked(Driver="amd", Count=-1, Capabilities=GPU), ((), (), False)),
        (
            container(["NVIDIA_VISIBLE_DEVICES=0,GPU-2"], Runtime="nvidia"),
            (("0", "GPU-2"), (), False),
        ),
        (
            container(["NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=3"], Runtime="nvidia"),
            (("3",), (), False),
        ),
        (container(["NVIDIA_VISIBLE_DEVICES=all"], Runtime="nvidia"), ((), (), True)),
        (container(["NVIDIA_VISIBLE_DEVICES=void"], Runtime="nvidia"), ((), (), False)),
        # Nobody reads the variable there.
        (container(["NVIDIA_VISIBLE_DEVICES=all"], Runtime="runc"), ((), (), False)),
        (
            container(Devices=[{"PathOnHost": "/dev/nvidia3"}, {"PathOnHost": "/dev/nvidiactl"}]),
            ((), (3,), False),
        ),
        (container(Privileged=True), ((), (), True)),
    ],
)
def test_what_a_container_may_use_is_read_from_all_places(info, expected):
    assert expected == devices_of(info)
