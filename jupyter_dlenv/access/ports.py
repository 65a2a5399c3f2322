"""Which port of the engine's host leads to the SSH server of a new environment."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..engines.base import ContainerPlan, Engine
from ..errors import PortTakenError
from ..images.exclusive import exclusive
from ..labels import ROLE, SSH_PORT, read_port
from ..models import PortMapping

#: The port of the SSH server inside.
SSH = 22
LOOPBACK = "127.0.0.1"
_MOST_TRIES = 20
_HIGHEST = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A plan with the port that was chosen for it; 0 if it has none of ours."""

    plan: ContainerPlan
    port: int = 0

    def blames(self, error: PortTakenError) -> bool:
        """Tell whether the port that is taken is the one we chose, and not one of the user's."""
        if not self.port:
            return False
        own = f"{LOOPBACK}:{self.port}"
        others = [p for p in self.plan.ports if p.host_port not in (0, self.port)]
        return own in error.detail or str(self.port) in str(error) or not others


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
        self, engine: Engine, plan: ContainerPlan, *, tried: set[int]
    ) -> AsyncIterator[Choice]:
        """Choose a port for a plan, and keep others from choosing until it is created.

        Args:
            tried: Ports that the engine has refused.
        """
        if any(port.container_port == SSH for port in plan.ports):
            yield Choice(plan=plan)
            return
        async with exclusive(self._lock):
            states = await engine.list({ROLE: "environment"})
            taken = {read_port(state.labels) for state in states} | tried
            taken |= {port.host_port for state in states for port in state.ports}
            taken |= {port.host_port for port in plan.ports}
            local = (await engine.probe()).local
            port = self._first_free(taken, local=local) if len(tried) < _MOST_TRIES else 0
            if not port:
                yield Choice(plan=plan)
                return
            mapping = PortMapping(container_port=SSH, host_port=port, host_ip=LOOPBACK)
            yield Choice(
                plan=replace(
                    plan,
                    ports=(*plan.ports, mapping),
                    labels={**plan.labels, SSH_PORT: str(port)},
                ),
                port=port,
            )

    def _first_free(self, taken: Iterable[int], *, local: bool) -> int:
        avoided = frozenset(taken)
        for port in range(self._lowest, self._highest + 1):
            if port not in avoided and (not local or _is_free(port)):
                return port
        return 0


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As whoever binds it next does: an ended connection is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
