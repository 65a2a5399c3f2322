"""Ends an environment that nobody has used for a while, so that others can have its GPUs.

It happens here, in the environment itself, because here all its uses are seen, and because it
has to happen when no server runs, too: that is when environments are forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import Any, Callable, Dict, Optional

from . import activity
from .kernels import Kernels
from .usage import Usage
from .wire import say

#: The exit code of an agent that has ended for this; ``timeout`` has the same one.
EXIT_CODE = 124
_FILE = "idle-stop"
_LONGEST_INTERVAL = 15.0
_SHORTEST_INTERVAL = 0.1
_LONGEST_WARNING = 300.0


class IdleWatch:
    """Knows since when an environment has not been used, and what is to happen then.

    Args:
        directory: The agent's own, where the limit is kept for the agent's next start.
        warn: Called with an event some time before the end.
        stop: Called at the end.
    """

    def __init__(
        self,
        directory: str,
        kernels: Kernels,
        *,
        warn: Callable[[Dict[str, Any]], None],
        stop: Callable[[], None],
    ) -> None:
        self._path = os.path.join(directory, _FILE)
        self._kernels = kernels
        self._warn = warn
        self._stop = stop
        self._limit = 0.0
        self._last = time.monotonic()
        self._by = "start"
        self._usage: Optional[Usage] = None
        self._own_system = True
        self._looking = asyncio.Lock()
        self._due = asyncio.Event()
        self._warned = False

    def resume(self) -> None:
        """Take the limit of the agent before this one: containers start by themselves, too."""
        with contextlib.suppress(OSError, ValueError), open(self._path) as file:
            limit, own_system = file.read().split()
            self._apply(float(limit), own_system == "1")

    def configure(self, limit: float, *, own_system: bool) -> None:
        """Set after how many seconds without use the environment ends; 0 is never.

        Args:
            own_system: All processes that can be seen are the environment's.
        """
        new = self._path + ".new"
        with open(new, "w") as file:
            file.write("%r %d" % (limit, own_system))
        os.rename(new, self._path)
        self._apply(limit, own_system)
        self.use("start")

    def use(self, by: str) -> None:
        """Note that the environment is used now."""
        self._note(by, time.monotonic())

    async def look(self) -> Dict[str, Any]:
        """Return for how many seconds nothing was used, and what was the last use."""
        async with self._looking:
            loop = asyncio.get_running_loop()
            if self._usage is None:
                self._usage = Usage(None if self._own_system else os.getpid())
            unused = self._kernels.unused()
            for by, idle in await loop.run_in_executor(None, self._usage.look, unused):
                self._note(by, time.monotonic() - idle)
            self._look_at_kernels()
        idle = max(0.0, time.monotonic() - self._last)
        left = max(0.0, self._limit - idle) if self._limit else None
        return {"idle": idle, "by": self._by, "limit": self._limit, "left": left}

    async def watch(self) -> None:
        """Look from time to time; warn once, and then stop."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._interval)
            self._due.clear()
            seen = await self.look()
            if not self._limit:
                continue
            if seen["left"] > min(_LONGEST_WARNING, self._limit / 5) + self._interval:
                self._warned = False
            elif not self._warned:
                self._warned = True
                say("nobody uses this environment; it stops in %d s" % seen["left"])
                self._warn({"event": "idle", "limit": self._limit, "left": seen["left"]})
            if seen["left"] == 0:
                say("stopping: nobody has used this environment for %d s" % self._limit)
                self._stop()
                return

    @property
    def _interval(self) -> float:
        if not self._limit:
            return _LONGEST_INTERVAL
        return min(_LONGEST_INTERVAL, max(_SHORTEST_INTERVAL, self._limit / 20))

    def _apply(self, limit: float, own_system: bool) -> None:
        if own_system != self._own_system:
            self._own_system, self._usage = own_system, None
        self._limit = limit
        self._due.set()

    def _look_at_kernels(self) -> None:
        for kernel in self._kernels.list():
            try:
                moment, busy = activity.read(kernel.activity)
            except OSError:
                # It has ended, or starts this moment.
                continue
            self._note("kernel", time.monotonic() if busy else moment)

    def _note(self, by: str, moment: float) -> None:
        if moment > self._last:
            self._last, self._by = moment, by
