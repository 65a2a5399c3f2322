"""Work that may hang, or fail in any way, as a value or the reason why there is none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, what: str, work: Awaitable[T], absent: dict[str, str]) -> T | None:
    """Return what the work returns; or nothing, and leave the reason in ``absent``.

    Args:
        what: What would be known, in words.
    """
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        absent[what] = f"It could not be had within {seconds:.0f} s."
    # A doctor must not fall ill: whatever it meets is a fact too.
    except Exception as error:  # noqa: BLE001
        absent[what] = f"{type(error).__name__}: {error}"
    return None


async def in_thread(work: Callable[[], T]) -> T:
    """Run something that may hang for ever, in a thread that keeps no program from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 the edge of the thread
            _tell(loop, _fail, done, error)
        else:
            _tell(loop, _succeed, done, result)

    threading.Thread(target=run, name="dlenv-doctor", daemon=True).start()
    return await done


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], *arguments: Any) -> None:
    # The loop may be closed, after nobody had the patience to wait.
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell, *arguments)


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
