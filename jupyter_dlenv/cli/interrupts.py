"""What Ctrl-C and a polite kill do: cancel the work, and wait until it has cleaned up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .outcome import Interrupted

_T = TypeVar("_T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def interruptible(work: Coroutine[Any, Any, _T], on_interrupt: Callable[[], None]) -> _T:
    """Do the work; the first signal cancels it, a second one ends the process at once.

    Args:
        on_interrupt: Called at the first signal, before the work hears of it.

    Raises:
        Interrupted: When the cancelled work has ended.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    received: list[int] = []

    def interrupt(signum: int) -> None:
        received.append(signum)
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
            # asyncio would wait for threads again; whoever asks twice means now.
            signal.signal(each, signal.SIG_DFL)
        on_interrupt()
        task.cancel()

    for each in _SIGNALS:
        loop.add_signal_handler(each, interrupt, each)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
