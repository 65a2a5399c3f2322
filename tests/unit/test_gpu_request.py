"""How GPUs are asked for."""

from __future__ import annotations

import pytest

from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.gpu_request import GpuRequest


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, GpuRequest()),
        (2, GpuRequest(count=2)),
        ("0", GpuRequest()),
        (" 2 ", GpuRequest(count=2)),
        ("all", GpuRequest(all=True)),
        ("device=0", GpuRequest(devices=("0",))),
        ("device=0, 3", GpuRequest(devices=("0", "3"))),
        ('"device=0,2:1"', GpuRequest(devices=("0", "2:1"))),
        ("GPU-1b2c", GpuRequest(devices=("GPU-1b2c",))),
        ("GPU-1b2c,GPU-3d4e", GpuRequest(devices=("GPU-1b2c", "GPU-3d4e"))),
        (
            "MIG-00000002-0003-4000-8000-000000000000",
            GpuRequest(devices=("MIG-00000002-0003-4000-8000-000000000000",)),
        ),
    ],
)
def test_a_request_is_read_and_written_back(value, expected):
    request = GpuRequest.parse(value)

    assert request == expected
    assert GpuRequest.parse(str(request)) == request


@pytest.mark.parametrize(
    "value",
    [
        *("", "-1", "1.5", "two", "0,3", "device=", "device=x", "device=0,,1", "device=0,0"),
        *("GPU-", "GPU-xyz", "GPU-" + "0" * 40, "MIG-GPU-1/2/3", "1000", "device=-1", "gpu-1b"),
        *(-1, 1000, True, None, 1.5, [2], "device=0\n--privileged"),
    ],
)
def test_what_is_no_request_is_refused_with_a_hint(value):
    with pytest.raises(InvalidSpecError) as raised:
        GpuRequest.parse(value)

    assert "device=0,3" in raised.value.hint


def test_a_request_is_made_in_one_way_only():
    with pytest.raises(InvalidSpecError):
        GpuRequest(count=1, all=True)


def test_only_zero_wants_none():
    assert GpuRequest.parse("0").wants_none
    assert not any(GpuRequest.parse(x).wants_none for x in ("1", "all", "device=0"))
