"""The container of a new environment: created, started, and removed again if that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from .access.ports import Choice
from .access.ssh import SshAccess
from .engines.base import ContainerPlan, Engine
from .errors import ContainerNameTakenError, DlenvError, NameTakenError, PortTakenError
from .labels import ID, NAME
from .models import Phase, Progress
from .obtain import ReportProgress

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


async def start_new(
    engine: Engine,
    plan: ContainerPlan,
    *,
    ssh: SshAccess | None,
    undo: AsyncExitStack,
    report: ReportProgress,
) -> str:
    """Create and start a container; return its id.

    If somebody takes the chosen SSH port in between, another one is chosen.

    Args:
        ssh: Publishes the port of the SSH server, if there is one inside.
        undo: Learns how to remove the container.

    Raises:
        NameTakenError: And everything that ``create`` and ``start`` of an engine raise.
    """
    tried: set[int] = set()
    volumes = {ID: plan.labels[ID]}
    while True:
        async with _choice(engine, plan, ssh, tried) as choice:
            try:
                container_id = await engine.create(choice.plan)
            except ContainerNameTakenError as error:
                raise NameTakenError(
                    f"Another launch of {plan.labels[NAME]!r} is under way.", detail=error.detail
                ) from error
        undo.push_async_callback(undisturbed, engine.remove, container_id, volumes=volumes)
        report(Progress(phase=Phase.STARTING, message="Waiting for the environment to answer"))
        try:
            await engine.start(container_id)
        except PortTakenError as error:
            if not choice.blames(error):
                raise
            tried.add(choice.port)
            await engine.remove(container_id, volumes=volumes)
        else:
            return container_id


@asynccontextmanager
async def _choice(
    engine: Engine, plan: ContainerPlan, ssh: SshAccess | None, tried: set[int]
) -> AsyncIterator[Choice]:
    if ssh is None or ssh.ports is None:
        yield Choice(plan=plan)
        return
    async with ssh.ports.choice(engine, plan, tried=tried) as choice:
        yield choice


async def undisturbed(
    step: Callable[..., Coroutine[Any, Any, _T]], *args: Any, **kwargs: Any
) -> None:
    """Run a step of a clean-up to its end, however often the launch is cancelled meanwhile."""
    task: Awaitable[_T] = asyncio.ensure_future(step(*args, **kwargs))
    while not task.done():  # type: ignore[attr-defined]
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
        except DlenvError as error:
            # The error that led here matters more; the next list() tries again.
            _log.warning("Clean-up failed: %s", error)
