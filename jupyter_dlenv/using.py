"""How a kernel comes to its environment: it runs, and the administrator still allows it."""

from __future__ import annotations

import asyncio

from .environments import Environments
from .errors import DlenvError, EnvironmentNotFoundError
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


async def reached_again(environments: Environments, name: str) -> bool:
    """Tell whether an environment may still run, and bring back the sockets of one that does."""
    try:
        environment = await environments.get(name)
        if environment.status is not Status.RUNNING:
            return False
        await environments.reach(environment)
    except EnvironmentNotFoundError:
        return False
    except DlenvError:
        # Unreachable is not ended.
        pass
    return True
