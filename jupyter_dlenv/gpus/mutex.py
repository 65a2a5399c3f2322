"""The mutex under which GPUs are chosen: a container of one name, which is never started.

Every engine refuses a second container of a name, so it holds for all who use the engine,
from whatever machine, and needs nothing on any disk.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from ..engines.base import ContainerPlan, ContainerState, Engine
from ..engines.completion import to_its_end
from ..engines.gpu_claims import SupportsGpuLeases
from ..errors import ContainerNameTakenError, ContainerNotFoundError, DlenvError, EngineTimeoutError
from ..labels import LAUNCHER, OWNER, ROLE
from ..launcher import is_alive, own_identity

NAME = "dlenv.gpu-lock"
LOCK = "gpu-lock"
_log = logging.getLogger(__name__)
#: Far longer than anybody needs it.  By the engine's clock: those of its users may differ.
_STALE = timedelta(seconds=30)
_PATIENCE = 90.0
_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 0.2
_LOOK_SECONDS = 1.0


class LeaseEngine(Engine, SupportsGpuLeases, Protocol):
    """An engine on which GPUs can be leased."""


class Held:
    """The mutex, while it is ours."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self._container_id = container_id

    async def is_still_ours(self) -> bool:
        """Tell whether nobody has broken it because we were too slow.

        What was made before this was asked is seen by all who get the mutex after us.
        """
        try:
            await self._engine.inspect(self._container_id)
        except ContainerNotFoundError:
            return False
        return True


@asynccontextmanager
async def gpu_mutex(engine: LeaseEngine, *, image: str, owner: str) -> AsyncIterator[Held]:
    """Wait until nobody else chooses GPUs on the engine, and keep others from it.

    Args:
        image: Any image that the engine has.

    Raises:
        EngineTimeoutError: Others had it for too long.
    """
    plan = ContainerPlan(
        name=NAME,
        image=image,
        command=("true",),
        labels={ROLE: LOCK, OWNER: owner, LAUNCHER: own_identity()},
        network=False,
    )
    container_id = await _acquire(engine, plan, owner)
    try:
        yield Held(engine, container_id)
    finally:
        await to_its_end(_release(engine, container_id))


async def _acquire(engine: LeaseEngine, plan: ContainerPlan, owner: str) -> str:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    looked = loop.time()
    pause = _SHORTEST_PAUSE
    while True:
        try:
            return await engine.create(plan)
        except ContainerNameTakenError as error:
            if loop.time() > deadline:
                raise EngineTimeoutError(
                    "Others have been choosing GPUs on this engine all the time.",
                    detail=error.detail,
                ) from error
        if loop.time() - looked > _LOOK_SECONDS:
            await _break_if_stale(engine, owner)
            looked = loop.time()
        # Not all at once, and not so often that the holder is slowed down.
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def _release(engine: Engine, container_id: str) -> None:
    try:
        await engine.remove(container_id)
    except DlenvError as error:
        # It grows stale.  What was done under it is done.
        _log.warning("The mutex of GPUs could not be removed: %s", error)


async def _break_if_stale(engine: LeaseEngine, owner: str) -> None:
    try:
        state = await engine.inspect(NAME)
    except ContainerNotFoundError:
        return
    if _is_stale(state, await engine.clock(), owner):
        _log.warning("Breaking the mutex of GPUs of %s", state.labels.get(OWNER))
        # By id: by name, another waiter could break the mutex of whoever gets it next.
        await engine.remove(state.id)


def _is_stale(state: ContainerState, now: datetime, owner: str) -> bool:
    if now - datetime.fromisoformat(state.created.replace("Z", "+00:00")) > _STALE:
        return True
    # Processes of others may be hidden from us, and look dead.
    own = state.labels.get(OWNER) == owner
    return own and not is_alive(state.labels.get(LAUNCHER, ""), created=state.created)
