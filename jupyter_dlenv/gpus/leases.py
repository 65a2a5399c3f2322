"""GPU leases: who may use which GPUs, written on the containers that use them.

A lease is a label, made together with its container, under a mutex of the whole engine.
Whoever chooses looks at everything first: the leases of all owners, the containers of those
who know nothing of leases, and the processes that the driver sees.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

from ..engines.base import ContainerPlan, Engine
from ..engines.completion import to_its_end, undisturbed
from ..engines.gpu_claims import SupportsGpuLeases
from ..errors import (
    CapabilityMissingError,
    EngineTimeoutError,
    EngineUnreachableError,
    GpusTakenError,
    InvalidSpecError,
    NoFreeGpuError,
)
from ..gpu_request import GpuRequest
from ..labels import GPUS, LAUNCHER, NAME, OWNER, ROLE, gpus_of
from ..launcher import own_identity
from ..models import Environment, Status
from ..policy import Policy
from .choose import BUSY, Choice, choose
from .devices import as_if_free, devices
from .holders import ENVIRONMENT, HOLD, Holders, find_holders
from .inventory import Inventory
from .line import TICKET, PlaceInLine, in_order, kept_for, standing_in_line
from .mutex import LeaseEngine, gpu_mutex
from .source import GpuSource

_log = logging.getLogger(__name__)
CreateContainer = Callable[[tuple[str, ...]], Awaitable[str]]
"""Creates, and does not start, the container that holds these UUIDs; returns its id."""
#: How often the mutex may be broken under us, and how often a load is waited for to pass.
_TRIES = 3
#: The driver tells the load of the last second: a GPU that was just freed looks busy.
_LOAD_SECONDS = 1.0
#: How often somebody in line looks.
_LOOK_SECONDS = 1.5
#: How long somebody in line bears with an engine that does not answer.
_LONGEST_SILENCE = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """GPUs that an environment is to have.

    Attributes:
        name: Of the environment.
        shared: Also such that others use.
        image: An image that the engine has, for containers that are never started.
        own: Ids of containers that the new one takes the place of: what they hold is free.
    """

    name: str
    request: GpuRequest
    shared: bool
    image: str
    own: tuple[str, ...] = ()


class GpuLeases:
    """The GPU leases of one owner on one engine."""

    def __init__(self, engine: Engine, source: GpuSource, *, owner: str, policy: Policy) -> None:
        self._engine = engine
        self._source = source
        self._owner = owner
        self._policy = policy

    @asynccontextmanager
    async def holding(self, environment: Environment) -> AsyncIterator[str]:
        """Hold the GPUs of an environment while nothing of it runs that would: while it starts.

        Yields the id of the container that holds them; empty where there are none to hold.

        Raises:
            GpusTakenError: Others use them, of an environment that does not run; says who.
        """
        if not environment.gpu_uuids:
            yield ""
            return
        name, uuids, image = environment.name, environment.gpu_uuids, environment.image_id
        plan = ContainerPlan(
            name=f"dlenv.gpu-hold.{secrets.token_hex(5)}",
            image=image,
            command=("true",),
            labels={
                ROLE: HOLD,
                OWNER: self._owner,
                NAME: name,
                LAUNCHER: own_identity(),
                GPUS: ",".join(uuids),
            },
            network=False,
        )
        async with AsyncExitStack() as undo:

            def made(container_id: str) -> None:
                undo.push_async_callback(undisturbed, self._engine.remove, container_id)

            if environment.status is not Status.RUNNING:
                request, shared = GpuRequest(devices=uuids), environment.spec.shared
                wish = Wish(name=name, request=request, shared=shared, image=image)
                try:
                    hold = await self._create(
                        wish, lambda _: self._engine.create(plan), made, counted=True
                    )
                except (NoFreeGpuError, InvalidSpecError) as error:
                    raise _taken(name, error) from error
            else:
                hold = await self._engine.create(plan)
                made(hold)
            yield hold

    async def holders(self, inventory: Inventory) -> Holders:
        """Return who holds which GPUs now, or waits in line for them."""
        if not isinstance(self._engine, SupportsGpuLeases):
            return Holders()
        engine = self._capable()
        claims, now, waiting = await asyncio.gather(
            engine.gpu_claims(), engine.clock(), engine.list({ROLE: TICKET})
        )
        holders = find_holders(claims, inventory, now=now)
        kept = kept_for(in_order(waiting), inventory, holders.by_uuid)
        return replace(holders, by_uuid={**kept, **holders.by_uuid})

    async def check(self, wish: Wish, *, freed: tuple[str, ...]) -> None:
        """Raise what ``create`` would raise, if these GPUs were free; nothing is held."""
        await self._choose(self._capable(), wish, freed=freed)

    async def create(
        self,
        wish: Wish,
        create: CreateContainer,
        *,
        made: Callable[[str], None],
        line: PlaceInLine | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Choose GPUs and create the container that holds them; return its id.

        Args:
            create: Creates the container for these UUIDs, with their label.
            made: Called with the id of each container that was made, so that the caller can
                remove it when a later step fails.
            line: Wait in line until there are enough GPUs, however long that takes.
            report: Hears which place in line it is, in words.

        Raises:
            NoFreeGpuError, InvalidSpecError, NotAllowedError, EngineTimeoutError
        """
        if line is None:
            return await self._create(wish, create, made)
        engine, loop = self._capable(), asyncio.get_running_loop()
        await self._check_possible(wish)
        looked = loop.time()
        async with standing_in_line(
            engine,
            line,
            name=wish.name,
            owner=self._owner,
            container=f"dlenv.{self._owner}.{wish.name}.waiting",
            request=wish.request,
            shared=wish.shared,
            image=wish.image,
        ) as standing:
            while True:
                try:
                    await standing.keep()
                    # A look first: the mutex is for those who may have what they want.
                    await self._choose(engine, wish, ticket=standing.ticket)
                    return await self._create(wish, create, made, ticket=standing.ticket)
                except NoFreeGpuError:
                    report(await self._place(engine, wish, standing.ticket))
                    looked = loop.time()
                except (EngineTimeoutError, EngineUnreachableError):
                    # Who has waited for hours does not give up for a restart of the engine.
                    if loop.time() - looked > _LONGEST_SILENCE:
                        raise
                await asyncio.sleep(_LOOK_SECONDS)

    async def _place(self, engine: LeaseEngine, wish: Wish, ticket: str) -> str:
        waiting = [t.id for t in in_order(await engine.list({ROLE: TICKET}))]
        place = waiting.index(ticket) + 1 if ticket in waiting else len(waiting)
        return f"Waiting in line for {wish.request.words}: place {place} of {len(waiting)}"

    async def _check_possible(self, wish: Wish) -> None:
        """Raise unless the wish could be fulfilled if nobody else used GPUs."""
        inventory = await self._source.read(image=wish.image)
        everything = {d.uuid for d in devices(inventory)}
        fenced = await self._source.fenced(inventory)
        choice = choose(as_if_free(inventory, everything), wish.request, fenced=fenced)
        await self._check_number(wish, len(choice.uuids))

    async def _create(
        self,
        wish: Wish,
        create: CreateContainer,
        made: Callable[[str], None],
        *,
        counted: bool = False,
        ticket: str = "",
    ) -> str:
        for _ in range(_TRIES - 1):
            try:
                return await self._create_now(wish, create, made, counted=counted, ticket=ticket)
            except NoFreeGpuError as error:
                if BUSY not in error.detail:
                    raise
                await asyncio.sleep(_LOAD_SECONDS)
        return await self._create_now(wish, create, made, counted=counted, ticket=ticket)

    async def _create_now(
        self,
        wish: Wish,
        create: CreateContainer,
        made: Callable[[str], None],
        *,
        counted: bool,
        ticket: str,
    ) -> str:
        engine = self._capable()
        # Opening the driver may take seconds, for which nobody else should wait.
        await self._source.read(image=wish.image)
        for _ in range(_TRIES):
            async with gpu_mutex(engine, image=wish.image, owner=self._owner) as mutex:
                choice = await self._choose(engine, wish, ticket=ticket)
                if not counted:
                    await self._check_number(wish, len(choice.uuids))
                container_id = await create(choice.uuids)
                made(container_id)
                if await mutex.is_still_ours():
                    return container_id
            _log.warning("Choosing GPUs took so long that others went on: trying again")
            await to_its_end(engine.remove(container_id))
        raise EngineTimeoutError("The engine is too slow to choose GPUs on it.")

    async def _choose(
        self, engine: LeaseEngine, wish: Wish, *, freed: tuple[str, ...] = (), ticket: str = ""
    ) -> Choice:
        inventory, claims, now, waiting = await asyncio.gather(
            self._source.read(image=wish.image),
            engine.gpu_claims(),
            engine.clock(),
            engine.list({ROLE: TICKET}),
        )
        inventory = as_if_free(inventory, freed)
        others = [claim for claim in claims if claim.state.id not in wish.own]
        holders = find_holders(others, inventory, now=now)
        ahead = itertools.takewhile(lambda t: t.id != ticket, in_order(waiting))
        kept = kept_for(tuple(ahead), inventory, holders.by_uuid)
        return choose(
            inventory,
            wish.request,
            {**kept, **holders.by_uuid},
            fenced=await self._source.fenced(inventory),
            shared=wish.shared,
        )

    async def _check_number(self, wish: Wish, more: int) -> None:
        """Ask the policy again: only now is it known what there is, and who else launched."""
        states = await self._engine.list({OWNER: self._owner, ROLE: ENVIRONMENT})
        others = [state for state in states if state.id not in wish.own]
        self._policy.check_gpus(more + sum(len(gpus_of(state.labels)) for state in others))

    def _capable(self) -> LeaseEngine:
        if not isinstance(self._engine, SupportsGpuLeases):
            raise CapabilityMissingError(
                f"GPUs cannot be chosen on the engine {self._engine.name!r}."
            )
        # To mypy it is now one or the other, not both.
        return cast("LeaseEngine", self._engine)


def _taken(name: str, error: NoFreeGpuError | InvalidSpecError) -> GpusTakenError:
    said = error.detail.splitlines() or [str(error)]
    reasons = [line for line in said if not line.endswith(": idle")]
    return GpusTakenError(
        f"The environment {name!r} cannot have its GPUs back: {'; '.join(reasons)}.",
        hint="Wait for them, or re-create it on others, its home and mounts stay: "
        f"`jupyter dlenv recreate {name}`.",
        detail=error.detail,
    )
