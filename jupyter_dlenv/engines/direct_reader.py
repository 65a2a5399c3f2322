"""A reader of a connection that, from some point on, hands on what comes at once, uncopied."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

#: Python's 64 KiB make the engine wait all the time when a kernel's output comes this way.
_READ_AHEAD = 1024 * 1024


class DirectReader(asyncio.StreamReader):
    """A ``StreamReader``, and ``hand_on``: from that call on, nothing else is of use.

    A ``StreamReader`` copies all that passes twice, and wakes a task for each piece.  That is
    nothing for an answer, and much for a stream that carries the output of kernels.
    """

    def __init__(self) -> None:
        super().__init__(limit=_READ_AHEAD)
        self._take: Callable[[bytes], None] | None = None
        self._over: asyncio.Future[None] | None = None
        self._has_ended = False

    async def hand_on(self, take: Callable[[bytes], None]) -> None:
        """Call with all that comes, as it comes; return at the end.

        Raises:
            OSError: The connection broke.
        """
        if before := await self._what_came_before():
            take(before)
        if broken := self.exception():
            raise broken
        if self._has_ended:
            return
        self._take = take
        self._over = asyncio.get_running_loop().create_future()
        await self._over

    async def _what_came_before(self) -> bytes:
        if self._has_ended:
            return await self.read(sys.maxsize)
        # With a byte of our own, or it would wait where nothing has come yet.
        super().feed_data(b"\n")
        return (await self.read(sys.maxsize))[:-1]

    # What the connection calls

    def feed_data(self, data: Any) -> None:
        if self._take is None or self._over is None:
            super().feed_data(data)
        elif not self._over.done():
            self._take(data)

    def feed_eof(self) -> None:
        super().feed_eof()
        self._has_ended = True
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        if self._over is not None and not self._over.done():
            self._over.set_exception(exc)
