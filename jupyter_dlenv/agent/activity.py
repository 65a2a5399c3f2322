"""When a kernel last did something: in shared memory, so that neither side waits for the other."""

from __future__ import annotations

import mmap
import os
import struct
import time
from typing import Tuple

#: A moment of the system's monotonic clock, and whether something runs.
_NOTE = struct.Struct("=d?")


class Activity:
    """What a kernel notes of itself; a kernel that hangs in C code stays busy."""

    def __init__(self, path: str, mode: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            # Kept before anything is noted: a full disk would end the process by SIGBUS.
            os.posix_fallocate(descriptor, 0, _NOTE.size)
            self._memory = mmap.mmap(descriptor, _NOTE.size)
        finally:
            os.close(descriptor)
        self.note(busy=False)

    def note(self, *, busy: bool) -> None:
        """Note that something happened now."""
        _NOTE.pack_into(self._memory, 0, time.monotonic(), busy)


def read(path: str) -> Tuple[float, bool]:
    """Return when a kernel last did something, and whether it still does.

    Raises:
        OSError: It has noted nothing.
    """
    with open(path, "rb") as file:
        data = file.read(_NOTE.size)
    if len(data) < _NOTE.size:
        raise OSError("%s is damaged" % path)
    moment, busy = _NOTE.unpack(data)
    return moment, busy
