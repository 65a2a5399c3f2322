"""What Ctrl-C and a polite kill do: cancel the work, and wait until it has cleaned up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from .outcome import Interrupted

_T = TypeVar("_T")
#: Interrupts what runs in a thread, where no signal arrives; see the magics.
INTERRUPTER: ContextVar[Interrupter | None] = ContextVar("INTERRUPTER", default=None)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupter:
    """Another thread's way to interrupt the work, as Ctrl-C does on a terminal."""

    def __init__(self) -> None:
        self._hear: Callable[[], object] | None = None
        self._asked = False

    def interrupt(self) -> None:
        """Cancel the work, now or when it begins."""
        self._asked = True
        if self._hear is not None:
            self._hear()

    @contextmanager
    def heard_by(self, interrupt: Callable[[int], None]) -> Iterator[None]:
        """Call ``interrupt`` on the loop of whoever enters this, when asked."""
        loop = asyncio.get_running_loop()
        self._hear = lambda: loop.call_soon_threadsafe(interrupt, signal.SIGINT)
        if self._asked:
            self._hear()
        try:
            yield
        finally:
            self._hear = None


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
    interrupter = INTERRUPTER.get()

    def interrupt(signum: int) -> None:
        received.append(signum)
        if interrupter is None:
            for each in _SIGNALS:
                loop.remove_signal_handler(each)
                # asyncio would wait for threads again; whoever asks twice means now.
                signal.signal(each, signal.SIG_DFL)
        on_interrupt()
        task.cancel()

    with interrupter.heard_by(interrupt) if interrupter else _signals(interrupt):
        try:
            return await task
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise


@contextmanager
def _signals(interrupt: Callable[[int], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, interrupt, each)
    try:
        yield
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
