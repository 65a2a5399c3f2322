"""Which port a new environment gets: the first that nobody has, within the rules."""

from __future__ import annotations

import socket

import pytest
from rig.ssh import free_port

from jupyter_dlenv.access.ports import SshPorts
from jupyter_dlenv.engines.base import ContainerPlan, ContainerState, EngineFacts
from jupyter_dlenv.errors import PortTakenError
from jupyter_dlenv.labels import ROLE, SSH_PORT
from jupyter_dlenv.models import PortMapping


class Shelf:
    """An engine that has containers, and makes none."""

    def __init__(self, *ports):
        self._states = tuple(
            ContainerState(
                id=str(port), name=str(port), state="exited",
                labels={ROLE: "environment", SSH_PORT: str(port)},
            )
            for port in ports
        )  # fmt: skip

    async def list(self, labels):
        assert {ROLE: "environment"} == labels
        return self._states

    async def probe(self):
        return EngineFacts(id="e", kind="docker", version="28.5")


def plan(*ports):
    return ContainerPlan(name="a", image="i", command=(), ports=ports)


async def chosen(ports, engine, plan, **arguments):
    async with ports.choice(engine, plan, **arguments) as choice:
        return choice


@pytest.fixture
def first():
    return free_port()


@pytest.fixture
def ports(tmp_path, first):
    return SshPorts(tmp_path / "lock", first=first, allowed=(1024, 65535))


def published(plan):
    return [p.host_port for p in plan.ports if p.container_port == 22]


async def test_ports_of_others_and_of_stopped_environments_are_passed_over(ports, first):
    with socket.create_server(("127.0.0.1", first)):
        got = await chosen(ports, Shelf(first + 1), plan(), refused={first + 2})

    (port,) = published(got)
    assert port > first + 2
    assert str(port) == got.labels[SSH_PORT]
    assert "127.0.0.1" == got.ports[-1].host_ip


async def test_a_port_for_ssh_that_the_user_has_published_is_enough(ports):
    own = plan(PortMapping(container_port=22, host_port=2222))

    assert own == await chosen(ports, Shelf(), own, refused=set())


async def test_a_port_that_the_user_publishes_for_something_else_is_not_taken(ports, first):
    got = await chosen(
        ports, Shelf(), plan(PortMapping(container_port=80, host_port=first)), refused=set()
    )

    assert published(got) != [first]


async def test_the_administrator_s_range_is_kept_and_when_it_is_full_there_is_no_port(tmp_path):
    low = free_port()
    ports = SshPorts(tmp_path / "lock", first=7603, allowed=(low, low))

    got = await chosen(ports, Shelf(), plan(), refused=set())
    full = await chosen(ports, Shelf(low), plan(), refused=set())

    assert [low] == published(got)
    assert plan() == full


async def test_whoever_takes_a_container_s_place_keeps_its_port(ports, first):
    got = await chosen(ports, Shelf(first), plan(), refused=set(), kept=first)

    assert [first] == published(got)


@pytest.mark.parametrize(
    ("said", "port", "blamed"),
    [
        ("Port 7603 is in use on the engine's host.", 7603, True),
        ("Port 17603 is in use on the engine's host.", 7603, False),
        ("Port 8080 is in use on the engine's host.", 80, False),
        # Where the engine does not say which, what it said may.
        ("A port that should be published is in use on the engine's host.", 7603, True),
        ("Port 7603 is in use on the engine's host.", 0, False),
    ],
)
def test_only_the_port_that_the_engine_names_is_blamed(said, port, blamed):
    detail = "failed to bind host port 7603: address already in use (172.17.0.2:80/tcp)"

    assert blamed == PortTakenError(said, detail=detail).blames(port)
