"""How work that cannot be interrupted is awaited by something that can."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from ..errors import DlenvError

_log = logging.getLogger(__name__)
T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """Wait until the work has ended, and only then give way to a cancellation.

    A thread cannot be stopped.  Whoever cancels and then cleans up must see all that it
    has made, so the ``CancelledError`` is raised when nothing is under way any more.
    """
    future = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        if not future.cancelled():
            # Asked for, so that asyncio does not report it as forgotten.
            future.exception()
        raise cancellation
    return future.result()


async def undisturbed(
    step: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
) -> None:
    """Run a step of a clean-up to its end, however often the launch is cancelled meanwhile."""
    task: Awaitable[T] = asyncio.ensure_future(step(*args, **kwargs))
    while not task.done():  # type: ignore[attr-defined]
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
        except DlenvError as error:
            # The error that led here matters more; the next list() tries again.
            _log.warning("Clean-up failed: %s", error)
