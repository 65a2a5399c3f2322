"""Reads and writes on descriptors that do not block, without the copies of asyncio's streams."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Callable, Sequence

#: The system takes no more at once.
_MOST_PIECES = 1024


async def read(descriptor: int, size: int) -> bytes:
    """Return what is there, at most so many bytes; nothing at the end.

    Raises:
        OSError
    """
    loop = asyncio.get_event_loop()
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            await until_ready(descriptor, loop.add_reader, loop.remove_reader)


async def write_all(descriptor: int, pieces: Sequence[Any], pause: float = 0) -> None:
    """Write pieces of bytes one after the other, as if they were one.

    Args:
        pause: Seconds after which to look whether there is room again, before the system is asked
            to tell.  It tells of the least room, which makes work where there is much to write.

    Raises:
        OSError
    """
    loop = asyncio.get_event_loop()
    left = list(pieces)
    has_paused = False
    while left:
        try:
            sent = os.writev(descriptor, left[:_MOST_PIECES])
        except BlockingIOError:
            if pause and not has_paused:
                await asyncio.sleep(pause)
            else:
                await until_ready(descriptor, loop.add_writer, loop.remove_writer)
            has_paused = not has_paused
            continue
        has_paused = False
        done = 0
        while done < len(left) and len(left[done]) <= sent:
            sent -= len(left[done])
            done += 1
        del left[:done]
        if sent:
            left[0] = memoryview(left[0])[sent:]


async def until_ready(
    descriptor: int, add: Callable[..., Any], remove: Callable[[int], Any]
) -> None:
    """Wait for a descriptor, with a loop's ``add_reader`` or ``add_writer`` and its counterpart."""
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
