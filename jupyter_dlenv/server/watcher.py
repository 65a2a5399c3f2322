"""Notices what happens to environments, whoever caused it, and tells it to this server's pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from ..environments import Environments
from ..errors import DlenvError
from ..models import Environment, Status
from .events import Action, Announcer

_log = logging.getLogger(__name__)

_FIRST_RETRY = 2.0
_LONGEST_RETRY = 60.0
#: Of what should not happen a log needs no more.
_UNEXPECTED_RETRY = 10.0
#: An environment changes several times while it is launched; one look is enough.
_SETTLE = 0.1
#: An event may be lost, as between two connections to an engine.
_LONGEST_BLINDNESS = 60.0


class Looked(Protocol):
    """Whoever wants to know which environments of this server there are."""

    async def __call__(self, environments: tuple[Environment, ...], *, engine_id: str) -> None: ...


class Watcher:
    """Follows the engine for as long as the server lives.

    An engine's event only says that it is time to look.  What is announced is the
    difference between two looks, so nothing is announced twice, and what happened while
    the engine was away is announced when it is back.  Each look brings the kernelspecs in
    step, too.
    """

    def __init__(
        self, environments: Callable[[], Environments], announcer: Announcer, *, looked: Looked
    ) -> None:
        """Look at nothing yet.

        Args:
            environments: The environments of this server.
            announcer: Hears what has changed.
            looked: Called after each look with what there is.
        """
        self._environments = environments
        self._looked = looked
        self._announcer = announcer
        self._known: dict[str, Environment] | None = None

    async def run(self) -> None:
        """Follow the engine until cancelled; an engine that is away is tried again."""
        retry = _FIRST_RETRY
        while True:
            try:
                environments = self._environments()
                await self._look(environments)
                retry = _FIRST_RETRY
                await self._follow(environments)
            except DlenvError as error:
                _log.debug("The engine cannot be watched: %s", error)
            except Exception:  # noqa: BLE001 - the edge of a background task
                _log.exception("The engine cannot be watched")
                retry = max(retry, _UNEXPECTED_RETRY)
            await asyncio.sleep(retry)
            retry = min(retry * 2, _LONGEST_RETRY)

    async def _follow(self, environments: Environments) -> None:
        due = asyncio.Event()
        listening = asyncio.create_task(_listen(environments, due), name="dlenv engine events")
        listening.add_done_callback(lambda _: due.set())
        try:
            while not listening.done():
                await _set_within(due, _LONGEST_BLINDNESS)
                await asyncio.sleep(_SETTLE)
                due.clear()
                await self._look(environments)
            await listening
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _look(self, environments: Environments) -> None:
        found = await environments.list()
        await self._looked(found, engine_id=(await environments.engine.probe()).id)
        now = {e.id: e for e in found if e.status is not Status.LAUNCHING}
        before, self._known = self._known, now
        if before is None:
            return
        for environment_id, environment in before.items():
            if environment_id not in now:
                self._announce("removed", environment)
        for environment_id, environment in now.items():
            self._compare(before.get(environment_id), environment)

    def _compare(self, before: Environment | None, now: Environment) -> None:
        if before is None:
            self._announce("launched", now)
            # It may have been stopped before anybody looked.
            if now.status is Status.STOPPED:
                self._announce("stopped", now)
        elif now.status is Status.STOPPED:
            if before.status is Status.RUNNING:
                self._announce("stopped", now)
        elif before.status is Status.STOPPED or before.started != now.started:
            self._announce("started", now)

    def _announce(self, action: Action, environment: Environment) -> None:
        self._announcer.environment(action, name=environment.name, environment_id=environment.id)


async def _listen(environments: Environments, due: asyncio.Event) -> None:
    # The first look was before we listened: what came between would be missed.
    due.set()
    async for _ in environments.events():
        due.set()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
