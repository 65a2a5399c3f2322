"""For how long environments have not been used: asked of each, for whoever shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path

from .errors import AgentError
from .kernels.link import AgentLink, IdleTime
from .models import Environment, Status

_PATIENCE = 2.0


async def idle_time(environment: Environment) -> IdleTime | None:
    """Return since when an environment has not been used; ``None`` if nobody can tell."""
    if environment.status is not Status.RUNNING:
        return None
    try:
        link = await AgentLink.connect(Path(environment.runtime_dir), timeout=_PATIENCE)
        async with aclosing(link):
            return await asyncio.wait_for(link.idle_time(), _PATIENCE)
    except (AgentError, asyncio.TimeoutError):
        # An agent of an earlier version does not know the question.
        return None


async def idle_times(environments: Iterable[Environment]) -> dict[str, IdleTime | None]:
    """Return the idle time of each environment, by its id."""
    asked = tuple(environments)
    answers = await asyncio.gather(*map(idle_time, asked))
    return {environment.id: answer for environment, answer in zip(asked, answers, strict=True)}
