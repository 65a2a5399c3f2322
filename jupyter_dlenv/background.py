"""An event loop beside a notebook's own, so that a cell can wait for what is asynchronous."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")

_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def wait(work: Coroutine[Any, Any, _T]) -> _T:
    """Run work to its end and return its result; Ctrl-C cancels it, and waits until it is undone.

    Every call uses the same loop, which lives as long as the process.
    """
    done: Future[_T] = Future()
    loop = _loop()
    tasks: list[asyncio.Task[_T]] = []

    def begin() -> None:
        task = loop.create_task(work)
        tasks.append(task)
        task.add_done_callback(lambda ended: _copy(ended, done))

    loop.call_soon_threadsafe(begin)
    try:
        return done.result()
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        with suppress(Exception):
            # A second Ctrl-C leaves at once.
            done.exception()
        raise


def start(
    work: Coroutine[Any, Any, _T], on_end: Callable[[Future[_T]], object]
) -> Callable[[], object]:
    """Begin work and return at once; return what cancels it.

    Args:
        on_end: Called in the loop's thread with the future that has ended.
    """
    running = asyncio.run_coroutine_threadsafe(work, _loop())
    running.add_done_callback(on_end)
    return running.cancel


def _loop() -> asyncio.AbstractEventLoop:
    global _running
    with _lock:
        # A forked process has the loop, but not the thread.
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="dlenv", daemon=True).start()
            _running = (os.getpid(), loop)
        return _running[1]


def _copy(ended: asyncio.Task[_T], done: Future[_T]) -> None:
    if ended.cancelled():
        done.cancel()
        done.set_running_or_notify_cancel()
    elif error := ended.exception():
        done.set_exception(error)
    else:
        done.set_result(ended.result())
