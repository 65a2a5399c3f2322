"""Hears from environments that they will stop because nobody uses them, and warns the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import AgentError
from ..kernels.link import AgentLink
from ..models import Environment, Status

_CONNECT_TIMEOUT = 3.0


class IdleWarnings:
    """A connection to each running environment of this server, on which it may say so.

    Args:
        warn: Called with an environment and the seconds that are left to it.
    """

    def __init__(self, warn: Callable[[Environment, float], None]) -> None:
        self._warn = warn
        self._links: dict[str, AgentLink] = {}

    async def follow(self, environments: tuple[Environment, ...]) -> None:
        """Listen to these environments from now on, and to no others."""
        running = {e.id: e for e in environments if e.status is Status.RUNNING}
        for environment_id, link in list(self._links.items()):
            if link.closed.done() or environment_id not in running:
                del self._links[environment_id]
                await link.aclose()
        new = [e for e in running.values() if e.id not in self._links]
        await asyncio.gather(*map(self._listen, new))

    async def aclose(self) -> None:
        """Listen to none."""
        await self.follow(())

    async def _listen(self, environment: Environment) -> None:
        try:
            directory = Path(environment.runtime_dir)
            link = await AgentLink.connect(directory, timeout=_CONNECT_TIMEOUT)
        except AgentError:
            # The next look comes soon.
            return
        link.on_idle = partial(self._warn, environment)
        self._links[environment.id] = link
