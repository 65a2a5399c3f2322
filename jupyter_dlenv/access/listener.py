"""A listening socket of this machine whose connections lead to somewhere else, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import psutil

from ..errors import DlenvError, LocalPortTakenError

_log = logging.getLogger(__name__)

LOCALHOST = "127.0.0.1"
_BACKLOG = 128
_PIECE = 256 * 1024
_PAUSE = 0.1
#: How far from the wanted port a free one is looked for.
_REACH = 200
#: Close by a reset: who was cut off must not take it for the end of the data.
_BY_RESET = struct.pack("ii", 1, 0)

Connect = Callable[[], Awaitable[socket.socket]]


class Listener:
    """Accepts from ``start`` until ``aclose``; each connection is joined to one of ``connect``.

    Args:
        listening: A bound, listening socket, which is closed at the end.
    """

    def __init__(self, listening: socket.socket, connect: Connect) -> None:
        self._listening = listening
        self._listening.setblocking(False)
        self._connect = connect
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._keep(self._accept())

    async def aclose(self) -> None:
        """Stop listening, and cut off the connections that there are."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                # Too many open files, as a rule: those that are open shall go on.
                _log.warning("A connection could not be accepted: %s", error)
                await asyncio.sleep(_PAUSE)
                continue
            self._keep(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        client.setblocking(False)
        try:
            target = await self._connect()
        except asyncio.CancelledError:
            _reset(client)
            raise
        except (DlenvError, OSError) as error:
            _log.info("A connection leads nowhere: %s", error)
            _reset(client)
            return
        await join(client, target)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def join(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on in both directions until both have ended, and close both sockets.

    The end of one direction is passed on like the bytes; the other direction goes on.  What
    breaks is reset on both sides.
    """
    both = (one, other)
    for end in both:
        if end.family != socket.AF_UNIX:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    directions = [
        asyncio.ensure_future(_copy(one, other)),
        asyncio.ensure_future(_copy(other, one)),
    ]
    try:
        await asyncio.gather(*directions)
    except OSError:
        pass
    finally:
        complete = all(d.done() and not d.cancelled() and not d.exception() for d in directions)
        for direction in directions:
            direction.cancel()
        await asyncio.wait(directions)
        for end in both:
            end.close() if complete else _reset(end)


async def _copy(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(_PIECE))
    while count := await loop.sock_recv_into(source, buffer):
        # Returns when the system has taken all of it: a slow reader slows the writer down.
        await loop.sock_sendall(sink, buffer[:count])
        # Neither waits while both ends keep up, and nobody else would have a turn.
        await asyncio.sleep(0)
    sink.shutdown(socket.SHUT_WR)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        if end.family != socket.AF_UNIX:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RESET)
    end.close()


def bind(port: int) -> socket.socket:
    """Return a socket that listens on a port of loopback.

    Raises:
        LocalPortTakenError: Somebody else does.  Who that is takes a while to find out:
            ask ``who_listens``.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOCALHOST, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise LocalPortTakenError(
                f"Port {port} of this machine is in use.", detail=str(error)
            ) from error
        raise LocalPortTakenError(
            f"Port {port} of this machine cannot be used: {error.strerror}.", detail=str(error)
        ) from error
    return bound


def bind_near(wanted: int, allowed: tuple[int, int]) -> socket.socket:
    """Return a socket that listens on the wanted port, or on the next one that is free.

    Raises:
        LocalPortTakenError: All ports near it are taken.
    """
    low, high = allowed
    first = wanted if low <= wanted <= high else low
    for port in range(first, min(first + _REACH, high + 1)):
        with contextlib.suppress(LocalPortTakenError):
            return bind(port)
    raise LocalPortTakenError(f"No port from {first} on is free on this machine.")


def who_listens(port: int) -> str:
    """Return who listens on a port of this machine, in words; blocks for a moment."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
            if connection.pid is None:
                return "a process of another user"
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                return f"process {connection.pid}"
    return ""
