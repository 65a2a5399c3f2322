"""Who counts as a holder of a GPU, what is kept for those who wait, and what a container sees."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from jupyter_dlenv.engines.base import ContainerState
from jupyter_dlenv.engines.gpu_claims import GpuClaim
from jupyter_dlenv.errors import GpuLostError, GpuMismatchError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.gpus.holders import find_holders
from jupyter_dlenv.gpus.inventory import Gpu, Inventory, MigDevice
from jupyter_dlenv.gpus.line import TICKET, Ticket, in_order, is_left_behind, kept_for
from jupyter_dlenv.gpus.sight import Sight, trouble
from jupyter_dlenv.labels import GPUS, LAUNCHER, NAME, OWNER, ROLE, WAITS
from jupyter_dlenv.launcher import own_identity

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
DEAD = own_identity().rpartition("/")[0] + "/1"
MACHINE = Inventory(
    gpus=(
        *(Gpu(index=i, uuid=f"GPU-{i}", minor=i + 4) for i in range(3)),
        Gpu(
            index=3,
            uuid="GPU-3",
            minor=7,
            mig_enabled=True,
            mig_devices=(MigDevice(uuid="MIG-30", index=0), MigDevice(uuid="MIG-31", index=1)),
        ),
    )
)


def state(labels=(), *, age=0, launcher="", **changes):
    made = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    labels = dict(labels)
    if labels:
        labels = {LAUNCHER: launcher or own_identity(), OWNER: "alice", NAME: "bert", **labels}
    values = {"id": "1", "name": "x", "state": "running", "created": made, **changes}
    return ContainerState(labels=labels, **values)


def holders(container, **claim):
    return find_holders([GpuClaim(state=container, **claim)], MACHINE, now=NOW)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"devices": ("0", "GPU-2")}, {"GPU-0", "GPU-2"}),
        ({"devices": ("3:1",)}, {"MIG-31"}),
        ({"devices": ("3",)}, {"GPU-3", "MIG-30", "MIG-31"}),
        # A number of a device node is not the index of a GPU.
        ({"minors": (5,)}, {"GPU-1"}),
        ({"devices": ("9", "GPU-99")}, set()),
    ],
)
def test_a_stranger_holds_what_their_container_asked_for(claim, expected):
    found = holders(state(name="theirs"), **claim)

    assert dict.fromkeys(expected, "container theirs") == found.by_uuid


def test_a_stranger_who_asked_for_all_is_only_named():
    found = holders(state(name="theirs"), everything=True)

    assert ({}, ("container theirs",)) == (found.by_uuid, found.everywhere)


LEASE = {ROLE: "environment", GPUS: "GPU-1,GPU-7"}


@pytest.mark.parametrize(
    ("container", "held"),
    [
        (state(LEASE), True),
        (state(LEASE, state="created"), True),
        (state(LEASE, state="created", age=900), True),
        (state(LEASE, state="created", launcher=DEAD, age=30), True),
        (state(LEASE, state="created", launcher=DEAD, age=61), False),
        (state(LEASE, state="created", error="no such device"), False),
        (state(LEASE, state="exited"), False),
        (state({**LEASE, ROLE: "gpu-hold"}, state="created"), True),
        (state({**LEASE, ROLE: "gpu-ticket"}, state="created"), False),
        (state({**LEASE, ROLE: "probe"}), False),
        (state({**LEASE, GPUS: "; rm -rf /"}), False),
    ],
)
def test_an_environment_holds_its_lease_while_it_runs_or_is_about_to(container, held):
    expected = {"GPU-1", "GPU-7"} if held else set()

    assert dict.fromkeys(expected, "environment bert of alice") == holders(container).by_uuid


def ticket(gpus, *, since="2026-01-01", **changes):
    values = {"id": since, "name": "bert", "owner": "alice", "keep": "", "alive": True}
    return Ticket(
        since=since, request=GpuRequest.parse(gpus), shared=False, **{**values, **changes}
    )


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        # It will get them.
        ([ticket(2)], {"GPU-1", "GPU-2"}),
        ([ticket(1)], {"GPU-1"}),
        ([ticket(1), ticket(1)], {"GPU-1", "GPU-2"}),
        # It waits for more of them.
        ([ticket(3)], {"GPU-1", "GPU-2"}),
        ([ticket("all"), ticket(1)], {"GPU-1", "GPU-2"}),
        # It waits for a certain one, and others may be taken.
        ([ticket("device=0")], set()),
        ([ticket("device=0,2")], {"GPU-2"}),
        ([ticket("device=9")], set()),
        ([ticket("MIG-31")], {"MIG-31"}),
    ],
)
def test_what_those_ahead_wait_for_is_kept_for_them(ahead, expected):
    kept = kept_for(ahead, MACHINE, {"GPU-0": "environment x of bob"})

    words = "kept for environment bert of alice, which waits in line"
    assert dict.fromkeys(expected, words) == kept


def waiting(since="", keep="", **changes):
    wish = json.dumps({"gpus": 2, "shared": False, "since": since, "keep": keep})
    return state({ROLE: TICKET, WAITS: wish}, state="created", **changes)


def test_the_line_is_in_order_of_when_they_came_and_without_the_dead():
    first, second = waiting(age=20, id="first"), waiting(age=10, id="second")
    back = waiting(since="2026-11-24T11:00:00Z", id="back")
    dead = waiting(age=30, id="dead", launcher=DEAD)
    strange = replace(first, labels={**first.labels, WAITS: "[]"}, id="strange")

    line = in_order([second, dead, back, strange, first])

    assert ["back", "first", "second"] == [t.id for t in line]


def test_a_place_of_a_server_is_kept_for_a_day_and_others_end_with_their_process():
    made = datetime.now(timezone.utc)
    recent = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    old = (made - timedelta(days=1, minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    assert not is_left_behind(waiting(created=recent))
    assert is_left_behind(waiting(created=recent, launcher=DEAD))
    assert not is_left_behind(waiting(created=recent, launcher=DEAD, keep="{}"))
    assert is_left_behind(waiting(created=old, launcher=DEAD, keep="{}"))


SMI = "GPU 0: H100 (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-30)\n"


@pytest.mark.parametrize(
    ("leased", "sight", "expected"),
    [
        (("GPU-1",), Sight(uuids=("GPU-1",)), None),
        (("GPU-1",), Sight(uuids=("GPU-2",)), GpuMismatchError),
        (("GPU-1", "GPU-2"), Sight(uuids=("GPU-1",)), GpuMismatchError),
        (("MIG-30",), Sight(uuids=("GPU-1", "MIG-30")), None),
        (("MIG-30",), Sight(uuids=("GPU-1", "MIG-30", "MIG-31")), GpuMismatchError),
        (("GPU-1",), Sight(failure="Failed to initialize NVML: Unknown Error"), GpuLostError),
        # Without NVIDIA's program, what it was told.
        (("GPU-1", "GPU-2"), Sight(told=("GPU-1", "GPU-2")), None),
        (("GPU-1",), Sight(told=("GPU-1", "GPU-2")), GpuMismatchError),
        (("GPU-1",), Sight(nodes=("/dev/nvidia0",)), None),
        ((), Sight(), None),
        ((), Sight(nodes=("/dev/nvidia0",)), GpuMismatchError),
        ((), Sight(failure="Failed to initialize NVML"), None),
    ],
)
def test_what_a_container_sees_is_compared_with_its_lease(leased, sight, expected):
    assert expected is (type(found) if (found := trouble("a", leased, sight)) else None)


def test_what_is_printed_inside_is_read_as_far_as_it_goes():
    mark = "dlenv-gpus:\n"
    printed = f"/dev/nvidia0\n{mark}{SMI}{mark}NVIDIA_VISIBLE_DEVICES=GPU-1\n"

    sight = Sight.read(printed)

    assert Sight(nodes=("/dev/nvidia0",), uuids=("GPU-1", "MIG-30"), told=("GPU-1",)) == sight
    assert Sight() == Sight.read(f"{mark}sh: nvidia-smi: not found\n{mark}")
    assert Sight.read("exec failed") is None
