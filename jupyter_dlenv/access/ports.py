"""Which port of the engine's host leads to the SSH server of a new environment."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ..engines.base import ContainerPlan, Engine
from ..errors import PortTakenError
from ..images.exclusive import exclusive
from ..labels import ROLE, SSH_PORT, read_port
from ..models import Environment, PortMapping
from .listener import who_listens

#: The port of the SSH server inside.
SSH = 22
LOOPBACK = "127.0.0.1"
_MOST_TRIES = 20
_HIGHEST = 65535


def taken_meanwhile(
    error: PortTakenError, environment: Environment, *, local: bool
) -> PortTakenError:
    """Return an error that says which port of a stopped environment others have, and what to do.

    A container keeps its ports: another one takes a new container.  Blocks for a moment.

    Args:
        error: What the engine said.
        environment: The one that was to be started.
        local: The engine's host is this machine.
    """
    name = environment.name
    # The engine does not list the ports of what is stopped.
    ports = (environment.ssh_port, *(p.host_port for p in environment.spec.ports))
    port = next((p for p in ports if error.blames(p)), 0)
    if not port:
        return error
    who = (who_listens(port) if local else "") or "another program"
    if port == environment.ssh_port:
        return PortTakenError(
            f"Port {port}, by which SSH gets into {name!r}, is in use by {who}.",
            hint=f"End that, or run `jupyter dlenv recreate {name}`, which takes the next free "
            "port: its home and mounts stay, what was installed outside of them is lost.",
            detail=error.detail,
        )
    return PortTakenError(
        f"Port {port}, which {name!r} publishes, is in use by {who}.",
        hint="End that: an environment keeps its ports, and only a launch publishes others.",
        detail=error.detail,
    )


class SshPorts:
    """Chooses 7603 for the first environment, and the next free port for each one after.

    A port belongs to its environment for life, also while that is stopped.

    Args:
        lock: Held while one is chosen, so that launches of one user choose differently.
        first: The first port to try.
        allowed: Lowest and highest port that may be published.
    """

    def __init__(self, lock: Path, *, first: int, allowed: tuple[int, int]) -> None:
        self._lock = lock
        self._lowest = first if allowed[0] <= first <= allowed[1] else allowed[0]
        self._highest = min(allowed[1], _HIGHEST)

    @asynccontextmanager
    async def choice(
        self, engine: Engine, plan: ContainerPlan, *, refused: set[int], kept: int = 0
    ) -> AsyncIterator[ContainerPlan]:
        """Yield a plan with a port for SSH, and keep others from choosing until it is created.

        The plan stays as it is if the user has published the port already, or none is free.

        Args:
            refused: Ports that the engine has refused.
            kept: The port of the container whose place this one takes.
        """
        if any(port.container_port == SSH for port in plan.ports):
            yield plan
            return
        async with exclusive(self._lock):
            port = kept if kept not in refused else 0
            if not port and len(refused) < _MOST_TRIES:
                port = await self._choose(engine, plan, refused)
            yield _with_port(plan, port) if port else plan

    async def _choose(self, engine: Engine, plan: ContainerPlan, refused: set[int]) -> int:
        states = await engine.list({ROLE: "environment"})
        taken = {read_port(state.labels) for state in states} | refused
        taken |= {port.host_port for state in states for port in state.ports}
        taken |= {port.host_port for port in plan.ports}
        return self._first_free(taken, local=(await engine.probe()).local)

    def _first_free(self, taken: Iterable[int], *, local: bool) -> int:
        avoided = frozenset(taken)
        for port in range(self._lowest, self._highest + 1):
            if port not in avoided and (not local or _is_free(port)):
                return port
        return 0


def _with_port(plan: ContainerPlan, port: int) -> ContainerPlan:
    mapping = PortMapping(container_port=SSH, host_port=port, host_ip=LOOPBACK)
    return replace(plan, ports=(*plan.ports, mapping), labels={**plan.labels, SSH_PORT: str(port)})


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As whoever binds it next does: an ended connection is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
