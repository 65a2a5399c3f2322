"""Which engine this server works with, and how it comes to work with another one.

The browser knows engines by their names only: an address may have a password in it, and whoever
could send one could have the server log in wherever they like.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

from ..access.relay import Place
from ..configuration import Configuration
from ..engines import docker_elsewhere
from ..environments import Environments
from ..errors import (
    DlenvError,
    EngineBusyError,
    EngineNotOfferedError,
    EngineTimeoutError,
    NotAllowedError,
)
from ..models import Environment
from ..secrecy import without_password

_log = logging.getLogger(__name__)

#: Engines that need no configuration.
_BUILT_IN = ("docker", "process")
#: In which an engine has to answer that is to be used.
_PATIENCE = 15.0
_STOP_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOffer:
    """An engine that a user may choose, or sees why not.

    Attributes:
        name: By which it is chosen.
        kind: ``docker`` or ``process``.
        address: Where it is, without what logs in; empty where the name says it all, so not
            for a ``docker`` that ``DOCKER_HOST`` or the context has on another machine.
        allowed: By the rule ``allowed_engines``.
    """

    name: str
    kind: str
    address: str
    allowed: bool


class Engines:
    """The environments of this server: those of one engine at a time.

    An engine that is left is not watched any more, but it stays open until the server ends.
    So what is under way there goes on: requests, logs that somebody reads, SSH connections,
    forwards.

    Args:
        busy: Says what is under way that needs the engine in use, or nothing.
        changed: Called when another engine is in use.
        patience: Seconds in which an engine has to answer that is to be used.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        busy: Callable[[], str],
        changed: Callable[[], None],
        patience: float = _PATIENCE,
    ) -> None:
        self._configuration = configuration
        self._patience = patience
        self._busy = busy
        self._changed = changed
        self._in_use = self.default
        #: By DOCKER_HOST or the context, which do not change for an engine that is open.
        self._docker_elsewhere = docker_elsewhere()
        self._opened: dict[str, Environments] = {}
        #: The environments that were seen last on each engine.
        self._seen: dict[str, frozenset[str]] = {}
        self._switching = asyncio.Lock()
        #: Questions that nobody waits for any more.
        self._late: set[asyncio.Task[Any]] = set()

    @property
    def default(self) -> str:
        """Return the name of the configured engine."""
        configured = self._configuration.engine
        known = self._configuration.engines
        if configured in known or configured in _BUILT_IN:
            return configured
        names = (name for name, url in known.items() if url == configured)
        return next(names, without_password(configured))

    @property
    def in_use(self) -> str:
        """Return the name of the engine in use."""
        return self._in_use

    @property
    def option(self) -> str:
        """Return what ``--engine`` has to say for the engine in use; empty for the default."""
        return "" if self._in_use == self.default else self._in_use

    @property
    def opened(self) -> tuple[str, ...]:
        """Return the names of the engines that were opened so far."""
        return tuple(self._opened)

    @property
    def seen(self) -> tuple[str, ...]:
        """Return the names of the engines whose environments were seen so far."""
        return tuple(self._seen)

    def offers(self) -> tuple[EngineOffer, ...]:
        """Return all engines that have a name, the default first."""
        names = (self.default, *_BUILT_IN, *self._configuration.engines)
        return tuple(map(self._offer, dict.fromkeys(names)))

    def to_json(self) -> dict[str, Any]:
        return {
            "in_use": self.in_use,
            "default": self.default,
            "engines": [asdict(offer) for offer in self.offers()],
        }

    def environments(self) -> Environments:
        """Return the environments on the engine in use.

        Raises:
            UnknownEngineError, NotAllowedError
        """
        if self._in_use not in self._opened:
            self._opened[self._in_use] = self._open(self._in_use)
        return self._opened[self._in_use]

    def of(self, place: Place) -> Environments:
        """Return the environments among which one is that was seen, on whichever engine."""
        for name, seen in self._seen.items():
            if place.environment_id in seen and name in self._opened:
                return self._opened[name]
        return self.environments()

    def saw(self, environments: Collection[Environment]) -> None:
        """Remember what there is on the engine in use."""
        self._seen[self._in_use] = frozenset(e.id for e in environments)

    async def use(self, name: str) -> None:
        """Work with another engine from now on; nothing changes if that fails.

        Raises:
            EngineNotOfferedError, NotAllowedError, UnknownEngineError
            EngineBusyError: Something is under way on the engine in use.
            EngineUnreachableError, EnginePermissionError, EngineTooOldError, EngineTimeoutError
        """
        async with self._switching:
            offered = {offer.name for offer in self.offers()}
            if name not in offered:
                raise EngineNotOfferedError(f"This server has no engine {name[:40]!r}.")
            self._configuration.policy.check_engine(self._typed(name))
            if name == self._in_use:
                return
            self._refuse_if_busy()
            environments = self._opened.get(name)
            is_new = environments is None
            environments = environments or self._open(name)
            try:
                await self._ask(environments)
                # From here to the change nobody else has a turn.
                self._refuse_if_busy()
            except BaseException:
                if is_new:
                    await asyncio.shield(environments.aclose())
                raise
            self._opened[name] = environments
            self._in_use = name
            _log.info("The engine %s is in use", name)
            self._changed()

    async def aclose(self) -> None:
        """Let go of all engines; environments run on."""
        opened, self._opened = tuple(self._opened.values()), {}
        for environments in opened:
            await environments.aclose()
        if self._late:
            await asyncio.wait(self._late, timeout=_STOP_TIMEOUT)

    def _offer(self, name: str) -> EngineOffer:
        typed = self._typed(name)
        address = self._configuration.engines.get(typed, typed)
        if address == "docker":
            address = self._docker_elsewhere or address
        try:
            self._configuration.policy.check_engine(typed)
            allowed = True
        except NotAllowedError:
            allowed = False
        return EngineOffer(
            name=name,
            kind="process" if address == "process" else "docker",
            address="" if address in _BUILT_IN else without_password(address),
            allowed=allowed,
        )

    def _typed(self, name: str) -> str:
        """Return what the configuration has for a name: a name, or the address of the default."""
        named = name in self._configuration.engines or name in _BUILT_IN
        return name if named else self._configuration.engine

    def _open(self, name: str) -> Environments:
        return self._configuration.open(self._typed(name))

    def _refuse_if_busy(self) -> None:
        if what := self._busy():
            raise EngineBusyError(f"Another engine cannot be used now: {what} is under way.")

    async def _ask(self, environments: Environments) -> None:
        """Have an engine say what there is, which it may have been too long ago that it did."""
        asking = asyncio.create_task(environments.list(), name="dlenv question to an engine")
        try:
            done, _ = await asyncio.wait([asking], timeout=self._patience)
        finally:
            if not asking.done():
                # Not awaited: a thread that waits for an engine cannot be stopped.
                asking.cancel()
                self._late.add(asking)
                asking.add_done_callback(self._forget)
        if not done:
            message = f"The engine did not answer within {self._patience:.0f} s."
            raise EngineTimeoutError(message, hint="The one in use stays.")
        asking.result()

    def _forget(self, asked: asyncio.Task[Any]) -> None:
        self._late.discard(asked)
        if not asked.cancelled() and isinstance(error := asked.exception(), DlenvError):
            _log.debug("An engine answered too late: %s", error)
