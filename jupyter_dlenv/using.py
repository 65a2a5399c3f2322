"""How a kernel comes to its environment: it runs, and the administrator still allows it."""

from __future__ import annotations

import asyncio

from .environments import Environments
from .models import Environment, Status


async def running_environment(environments: Environments, name: str) -> Environment:
    """Return an environment in which a kernel can start; start it first if it is stopped.

    Raises:
        NotAllowedError: It is older than the rules, or not ours.
    """
    environment = await environments.get(name)
    if environment.status is not Status.RUNNING:
        return await environments.start(name)
    await asyncio.to_thread(environments.policy.check_environment, environment)
    await environments.reach(environment)
    return environment
