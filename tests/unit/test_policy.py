"""Each rule of the administrator refuses, and names itself."""

from __future__ import annotations

import pytest

from jupyter_dlenv.errors import NotAllowedError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.models import Environment, EnvironmentSpec, Mount, PortMapping, Status
from jupyter_dlenv.policy import Policy


def spec(**changes):
    return EnvironmentSpec(**{"name": "a", "image": "nvidia/pytorch:25.10-py3", **changes})


def existing(gpus=0, **changes):
    return Environment(
        id="0",
        spec=spec(name="b", **changes),
        status=Status.RUNNING,
        container_id="c",
        image_id="i",
        owner="alice",
        engine="docker",
        gpu_uuids=tuple(f"GPU-{index}" for index in range(gpus)),
    )


def test_the_default_policy_allows_what_docker_allows():
    wanted = spec(
        gpus=GpuRequest(count=8), user="root", ports=(PortMapping.parse("0.0.0.0:8080:80"),)
    )

    assert Policy().check(wanted, [existing()]) is None


@pytest.mark.parametrize(
    ("rule", "policy", "wanted"),
    [
        ("allowed_images", Policy(allowed_images=("corp/*",)), spec()),
        ("allowed_users", Policy(allowed_users=("caller",)), spec(user="root")),
        ("allowed_users", Policy(allowed_users=("caller", "1000:*")), spec(user="0:0")),
        (
            "allowed_mounts",
            Policy(allowed_mounts=("/data", "/data/*")),
            spec(mounts=(Mount.parse("/database:/x"),)),
        ),
        (
            "allowed_bind_addresses",
            Policy(allowed_bind_addresses=("127.0.0.1",)),
            spec(ports=(PortMapping.parse("0.0.0.0:8080:80"),)),
        ),
        ("allowed_host_ports", Policy(), spec(ports=(PortMapping.parse("22:22"),))),
        ("max_environments", Policy(max_environments=1), spec()),
        ("max_idle_minutes", Policy(max_idle_minutes=60), spec(idle_stop=61)),
        ("max_idle_minutes", Policy(max_idle_minutes=60), spec(idle_stop=0)),
        ("max_gpus", Policy(max_gpus=3), spec(gpus=GpuRequest(count=2))),
        ("max_gpus", Policy(max_gpus=3), spec(gpus=GpuRequest(devices=("0", "1")))),
        ("max_gpus", Policy(max_gpus=2), spec(gpus=GpuRequest(all=True))),
    ],
)
def test_a_rule_refuses_and_names_itself(rule, policy, wanted):
    with pytest.raises(NotAllowedError) as caught:
        policy.check(wanted, [existing(gpus=2)])

    assert rule in str(caught.value)
    assert rule in caught.value.hint


def test_a_port_that_the_engine_chooses_is_within_every_range():
    wanted = spec(ports=(PortMapping.parse("80"),))

    assert Policy().check(wanted, []) is None


def test_an_image_of_the_users_own_making_passes_only_where_all_images_do():
    strict = Policy(allowed_images=("nvidia/*",))

    assert Policy().check(spec(), [], building=True) is None
    with pytest.raises(NotAllowedError, match="allowed_images"):
        strict.check(spec(), [], building=True)
