"""The ports of one environment, asked of everybody who knows: labels, keeper of forwards, agent."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from .access.forwards import Forward
from .access.port_uses import PortUse, port_uses
from .environments import Environments
from .errors import AgentError
from .kernels.link import AgentLink
from .models import Environment, Status

_PATIENCE = 5.0


async def ports_of(
    environments: Environments, environment: Environment, forwards: Iterable[Forward]
) -> tuple[PortUse, ...]:
    """Return the ports that are published, forwarded or listened on inside, by number."""
    listeners = await _listeners(environments, environment)
    return port_uses(environment.ports or environment.spec.ports, forwards, listeners)


async def _listeners(
    environments: Environments, environment: Environment
) -> list[dict[str, Any]] | None:
    if environment.status is not Status.RUNNING:
        return None
    facts = await environments.engine.probe()
    try:
        link = await AgentLink.connect(Path(environment.runtime_dir), timeout=_PATIENCE)
        async with aclosing(link):
            return await link.listeners(own=not facts.isolated)
    except AgentError:
        return None
