"""Finds out whether, and where, an event loop stood still while a coroutine ran."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass

BEAT = 0.01
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Standstill:
    """The longest time in which the loop ran nothing else, and what it was doing."""

    seconds: float
    stack: str


class LoopWatch:
    """Beats every 10 ms on the running loop, from the watched code's first await to its end.

    Time in which a thread of ours wanted to run and the machine had no core for it is not
    counted: the kernel keeps that figure for each thread, and the largest is subtracted.
    Not only the loop's own counts, since one that waits for a core may hold Python's lock.
    Neither is what the host of a virtual machine took from it, and the collector leaves
    alone what the tests before left in memory: a server's process has none of that.
    So the limit judges our code and not how busy the machine is.  (Without those figures, as
    on macOS, nothing is subtracted.)
    """

    async def __aenter__(self) -> LoopWatch:
        gc.freeze()
        self.longest = Standstill(0, "")
        self._last: float | None = None
        self._waits: dict[str, float] = {}
        self._thread_id = threading.get_ident()
        self._over = threading.Event()
        self._beats = asyncio.ensure_future(self._beat())
        self._observer = threading.Thread(target=self._observe, daemon=True, name="loop-watch")
        self._observer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        # The end counts too: a blocking call after the last await is no better.
        self._note()
        self._over.set()
        self._beats.cancel()
        await asyncio.wait([self._beats])
        self._observer.join()
        gc.unfreeze()

    async def _beat(self) -> None:
        self._last, self._waits, self._stack = time.monotonic(), _waits_for_a_core(), ""
        while True:
            await asyncio.sleep(BEAT)
            self._note()

    def _note(self) -> None:
        if self._last is None:
            return
        now, waits = time.monotonic(), _waits_for_a_core()
        starved = max(waits[thread] - self._waits.get(thread, 0) for thread in waits)
        seconds = now - self._last - BEAT - starved
        if seconds > self.longest.seconds:
            self.longest = Standstill(seconds, self._stack)
        self._last, self._waits, self._stack = now, waits, ""

    def _observe(self) -> None:
        """Look at the loop's thread, when a beat is late, for the name of the culprit."""
        while not self._over.wait(5 * BEAT):
            late = self._last is not None and time.monotonic() - self._last > 10 * BEAT
            if late and not self._stack:
                frame = sys._current_frames().get(self._thread_id)
                self._stack = "".join(traceback.format_stack(frame, limit=12))


def _waits_for_a_core() -> dict[str, float]:
    """Return how many seconds each thread of this process has waited for a core so far.

    The entry "machine" is what the host of this virtual machine has withheld from it, as the
    largest of its cores' figures, and 0 where there is no such host.
    """
    waits = {"machine": _withheld()}
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - runs 100 times a second
            with (
                contextlib.suppress(OSError),
                open(f"/proc/self/task/{thread}/schedstat") as file,  # noqa: PTH123
            ):
                waits[thread] = int(file.read().split()[1]) / 1e9
    return waits


def _withheld() -> float:
    with contextlib.suppress(OSError), open("/proc/stat") as file:  # noqa: PTH123
        steals = [int(line.split()[8]) for line in file if re.match(r"cpu\d", line)]
        return max(steals, default=0) / TICKS_PER_SECOND
    return 0.0
