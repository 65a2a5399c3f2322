"""The standard streams that another process hands over."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import socket
from typing import Callable, List

from .mux import first_line
from .nonblocking import read, until_ready, write_all

_PIECE = 256 * 1024
#: F_SETPIPE_SZ, which Python has from 3.10 on.
_SET_PIPE_SIZE = 1031
_LARGE = 1024 * 1024
#: A pipe of that size is not emptied meanwhile.
_PAUSE = 0.001


class Pipes:
    """Standard input and output of the process that the engine has started."""

    def __init__(self, source: int, sink: int) -> None:
        for descriptor in (source, sink):
            os.set_blocking(descriptor, False)
        self._source = source
        self._sink = sink
        _enlarge(source)
        self._pause = _PAUSE if _enlarge(sink) >= _LARGE else 0.0
        self._before = b""

    async def line(self) -> bytes:
        """Return the first line.

        Raises:
            ConnectionError: There is none.
        """
        line, self._before = await first_line(lambda: read(self._source, _PIECE))
        return line

    async def hand_on(self, take: Callable[[bytes], None]) -> None:
        if self._before:
            take(self._before)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def readable() -> None:
            try:
                data = os.read(self._source, _PIECE)
            except BlockingIOError:
                return
            except OSError as error:
                ended.set_exception(error)
            else:
                if data:
                    take(data)
                    return
                ended.set_result(None)
            loop.remove_reader(self._source)

        loop.add_reader(self._source, readable)
        try:
            await ended
        finally:
            loop.remove_reader(self._source)

    async def write(self, pieces: List[bytes]) -> None:
        await write_all(self._sink, pieces, self._pause)

    def close(self) -> None:
        os.close(self._source)
        os.close(self._sink)


async def receive(client: socket.socket, limit: float) -> Pipes:
    """Return the streams of a process that connects.

    Args:
        limit: How long it has to hand them over, in seconds.

    Raises:
        OSError, asyncio.TimeoutError: It does not.
    """
    loop = asyncio.get_running_loop()
    ready = until_ready(client.fileno(), loop.add_reader, loop.remove_reader)
    await asyncio.wait_for(ready, limit)
    descriptors = array.array("i")
    size = 2 * descriptors.itemsize
    _, ancillary, _, _ = client.recvmsg(1, socket.CMSG_LEN(size))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[:size])
    if len(descriptors) != 2:
        raise OSError("no descriptors came")
    return Pipes(*descriptors)


def _enlarge(descriptor: int) -> int:
    """Have a pipe hold more, so that nobody is woken for it all the time; return its size."""
    # Some are none, or have a limit.
    with contextlib.suppress(OSError):
        return fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _LARGE)
    return 0
