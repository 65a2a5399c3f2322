"""Private unix sockets that lead to ports inside, for libraries that connect by themselves."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path

from .listener import Listener
from .relay import Place, Port, Target

_PREFIX = "w-"


class UnixDoors:
    """The doors of this process; no other user can connect to them.

    Args:
        connect: Leads to the inside; see ``Relay.connect``.
        directory: The user's private runtime directory; each process has its own below.
    """

    def __init__(
        self, connect: Callable[[Place, Target], Awaitable[socket.socket]], directory: Path
    ) -> None:
        self._connect = connect
        self._base = directory
        self._own: Path | None = None
        self._lock = -1
        self._doors: dict[tuple[str, int], Listener] = {}
        self._opening = asyncio.Lock()

    async def path(self, place: Place, port: int) -> str:
        """Return the path of the socket that leads to a port."""
        key = (place.environment_id, port)
        async with self._opening:
            own = self._own
            if own is None:
                made = await asyncio.to_thread(_make_own, self._base)
                self._own, self._lock = made
                own = made[0]
            path = str(own / f"{place.environment_id}-{port}")
            if key not in self._doors:
                listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    listening.bind(path)
                    listening.listen()
                except BaseException:
                    listening.close()
                    raise
                door = self._doors[key] = Listener(
                    listening, partial(self._connect, place, Port(port))
                )
                door.start()
            return path

    async def keep_only(self, environment_ids: Collection[str]) -> None:
        """Close the doors to environments that are gone."""
        async with self._opening:
            for environment_id, port in list(self._doors):
                if environment_id not in environment_ids and self._own is not None:
                    await self._doors.pop((environment_id, port)).aclose()
                    (self._own / f"{environment_id}-{port}").unlink(missing_ok=True)

    async def aclose(self) -> None:
        """Close all doors."""
        async with self._opening:
            for door in self._doors.values():
                await door.aclose()
            self._doors.clear()
            if self._own is not None:
                await asyncio.to_thread(shutil.rmtree, self._own, ignore_errors=True)
                os.close(self._lock)
                self._own = None


def _make_own(base: Path) -> tuple[Path, int]:
    """Return a new directory and the lock on it; those of processes that were killed go."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in base.glob(f"{_PREFIX}*"):
        descriptor = _lock(other)
        if descriptor >= 0:
            shutil.rmtree(other, ignore_errors=True)
            os.close(descriptor)
    own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    return own, _lock(own)


def _lock(directory: Path) -> int:
    """Return a descriptor that holds the lock on a directory; -1 if another process does."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor
