"""Many connections over one stream that may break: nothing is lost then, and nothing comes twice.

Both ends number what they send, keep it until the other end has it, and go on from there on the
next stream.  So a connection through here outlives any number of streams.  Each connection has a
window: whoever reads slowly holds up nobody else, and what is kept is limited.

A frame is a kind, the number of a connection, a length (big-endian), and as many bytes.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import socket
import struct
from typing import (
    Any,
    Awaitable,
    Callable,
    Deque,
    Dict,
    Generator,
    List,
    Optional,
    Protocol,
    Set,
    Tuple,
)

from .nonblocking import write_all

_HEAD = struct.Struct(">BII")
_NUMBER = struct.Struct(">Q")
_OPEN, _DATA, _END, _CLOSE, _ROOM, _NEWS, _HEARD = range(1, 8)
#: Bytes of one connection that may be under way.
_WINDOW = 4 * 1024 * 1024
PIECE = 256 * 1024
_LONGEST = 1024 * 1024
_LONGEST_LINE = 4096
#: After so many bytes, or frames, the other end is told what has come.
_SAY_AFTER = 1024 * 1024
_SAY_AFTER_FRAMES = 64


async def first_line(read: "Callable[[], Awaitable[bytes]]") -> Tuple[bytes, bytes]:
    """Return the line that both ends say before the first frame, and what came after it.

    Args:
        read: Returns some bytes, none at the end.

    Raises:
        ConnectionError: There is none.
    """
    line = b""
    while b"\n" not in line:
        piece = await read()
        if not piece or len(line) > _LONGEST_LINE:
            said = line.decode("utf-8", "replace")
            raise ConnectionResetError(said or "the stream ended")
        line += piece
    line, _, rest = line.partition(b"\n")
    return line, rest


class Stream(Protocol):
    """What frames travel on."""

    async def hand_on(self, take: "Callable[[bytes], None]") -> None:
        """Call with all that comes, as it comes; return at the end.

        Raises:
            OSError: It broke.
        """

    async def write(self, pieces: List[bytes]) -> None:
        """Send them one after the other, and return when there is room for more.

        Raises:
            OSError: It has ended.
        """


class Mux:
    """One end; it lives longer than the streams that it is given.

    Args:
        connect: Makes the connection that the other end asks for by a name; may raise ``OSError``.
            Its socket does not block, and is closed here, as that of ``open`` is.
        hear: Called with the names that the other end says can be connected to.
    """

    def __init__(
        self,
        *,
        connect: "Callable[[str], Awaitable[socket.socket]]",
        hear: Callable[[List[str]], None],
    ) -> None:
        self._connect = connect
        self._hear = hear
        self._kept: Deque[Tuple[bytes, bytes]] = collections.deque()
        #: The number of the first frame that is kept, and of the one to be sent next.
        self._first = 0
        self._next = 0
        #: How many frames have come; the other end is told from time to time.
        self.received = 0
        self._untold = 0
        self._untold_bytes = 0
        #: How much of the next frame has come and was passed on.
        self._begun = 0
        self._due = asyncio.Event()
        self._connections: Dict[int, _Connection] = {}
        self._numbers = itertools.count(1)
        self._tasks: "Set[asyncio.Task[None]]" = set()

    @property
    def used(self) -> bool:
        """Tell whether anything has passed."""
        return bool(self.received or self._first or self._kept)

    def open(self, name: str, client: socket.socket) -> None:
        """Lead a connection of this end to what has a name at the other end."""
        number = next(self._numbers)
        self._send(_OPEN, number, name.encode())
        self._keep(self._serve(number, self._new(number), client))

    def tell(self, names: List[str]) -> None:
        """Say what can be connected to at this end."""
        self._send(_NEWS, 0, json.dumps(names).encode())

    async def run(self, stream: Stream, heard: int) -> None:
        """Use a stream until it ends.

        Args:
            heard: How many frames the other end says it has.

        Raises:
            ConnectionError: The other end is not what it should be.
        """
        self._forget(heard)
        self._next = self._first
        self._due.set()
        frames = self._frames()
        next(frames)
        misheard: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

        def take(data: bytes) -> None:
            if misheard.done():
                return
            try:
                frames.send(data)
            except Exception as error:  # noqa: BLE001 - it is whoever waits that has to know
                misheard.set_exception(error)

        ends = [
            misheard,
            asyncio.ensure_future(self._write(stream)),
            asyncio.ensure_future(stream.hand_on(take)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            wrong, *broken = await asyncio.gather(*ends, return_exceptions=True)
        if isinstance(wrong, Exception):
            raise wrong
        for result in broken:
            if isinstance(result, Exception) and not isinstance(result, OSError):
                raise result

    def close(self) -> None:
        """End all connections."""
        for task in list(self._tasks):
            task.cancel()

    async def _serve(self, number: int, connection: "_Connection", end: socket.socket) -> None:
        try:
            await connection.run(end)
        finally:
            self._connections.pop(number, None)

    async def _connect_to(self, name: str, number: int, connection: "_Connection") -> None:
        try:
            end = await self._connect(name)
        except OSError:
            del self._connections[number]
            self._send(_CLOSE, number)
            return
        await self._serve(number, connection, end)

    def _new(self, number: int) -> "_Connection":
        # At once: what is sent on it may be in the same piece of the stream.
        connection = self._connections[number] = _Connection(self._send, number)
        return connection

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, kind: int, number: int, data: bytes = b"") -> None:
        # Not put together: what is large is copied once, by the system, when it is sent.
        self._kept.append((_HEAD.pack(kind, number, len(data)), data))
        self._due.set()

    async def _write(self, stream: Stream) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            batch: List[bytes] = []
            size = 0
            for head, data in itertools.islice(self._kept, self._next - self._first, None):
                batch += (head, data)
                size += len(data)
                self._next += 1
                if size >= PIECE:
                    self._due.set()
                    break
            if self._untold_bytes >= _SAY_AFTER or self._untold >= _SAY_AFTER_FRAMES:
                self._untold = self._untold_bytes = 0
                told = _NUMBER.pack(self.received)
                batch.append(_HEAD.pack(_HEARD, 0, len(told)) + told)
            if batch:
                await stream.write(batch)

    def _frames(self) -> "Generator[None, bytes, None]":
        """Take what comes on a stream, and deal with the frames in it."""
        # The first frame is the one in which the stream before broke off.
        known = self._begun
        head = body = b""
        left = -1
        while True:
            rest = memoryview((yield))
            while rest or left == 0:
                if left < 0:
                    part = rest[: _HEAD.size - len(head)]
                    head, rest = head + part, rest[len(part) :]
                    if len(head) == _HEAD.size:
                        kind, number, left = _HEAD.unpack(head)
                        head = body = b""
                        if left > _LONGEST:
                            raise ConnectionError("a frame of %d bytes" % left)
                    continue
                part = rest[:left]
                left -= len(part)
                rest = rest[len(part) :]
                if kind == _DATA:
                    # Passed on as it comes, so that it is copied by nobody but the system.
                    again = min(known, len(part))
                    known -= again
                    self._pass_on(number, part[again:])
                else:
                    body += part
                if left == 0:
                    left = -1
                    self._take(kind, number, body)

    def _pass_on(self, number: int, part: memoryview) -> None:
        self._begun += len(part)
        self._untold_bytes += len(part)
        if part and number in self._connections:
            self._connections[number].take(_DATA, part)

    def _take(self, kind: int, number: int, data: bytes) -> None:
        if kind == _HEARD:
            self._forget(_NUMBER.unpack(data)[0])
            return
        self.received += 1
        self._begun = 0
        self._untold += 1
        if self._untold_bytes >= _SAY_AFTER or self._untold >= _SAY_AFTER_FRAMES:
            self._due.set()
        if kind == _OPEN:
            name = data.decode("utf-8", "replace")
            self._keep(self._connect_to(name, number, self._new(number)))
        elif kind == _NEWS:
            self._hear([str(name) for name in json.loads(data)])
        elif kind != _DATA and number in self._connections:
            self._connections[number].take(kind, data)

    def _forget(self, count: int) -> None:
        if not self._first <= count <= self._first + len(self._kept):
            raise ConnectionError("the other end has what was never sent, or lacks what it had")
        while self._first < count:
            self._kept.popleft()
            self._first += 1


class _Connection:
    """One connection through a mux."""

    def __init__(self, send: Callable[..., None], number: int) -> None:
        self._send = send
        self._number = number
        self._room = _WINDOW
        self._more_room = asyncio.Event()
        self._end: Optional[socket.socket] = None
        #: What has come, and nobody has taken yet.
        self._come: List[memoryview] = []
        self._something = asyncio.Event()
        #: Whether what comes can be passed on at once, because nothing before it waits.
        self._is_clear = False
        self._taken = 0
        self._ended = False
        self._closed = False

    def take(self, kind: int, data: Any) -> None:
        """Take a frame of the other end, or a part of one."""
        if kind == _DATA:
            if self._is_clear:
                data = data[self._pass_on(data) :]
            if data:
                self._is_clear = False
                self._come.append(data)
        elif kind == _ROOM:
            self._room += _NUMBER.unpack(data)[0]
            self._more_room.set()
            return
        else:
            self._ended = True
            self._closed = self._closed or kind == _CLOSE
        if not self._is_clear or self._ended:
            self._something.set()

    def _pass_on(self, data: memoryview) -> int:
        if self._end is None:
            return 0
        try:
            passed = self._end.send(data)
        except OSError:
            # Too much at once; or broken, which whoever waits to pass it on will see.
            return 0
        self._count(passed)
        return passed

    def _count(self, passed: int) -> None:
        self._taken += passed
        if self._taken >= _WINDOW // 4:
            self._send(_ROOM, self._number, _NUMBER.pack(self._taken))
            self._taken = 0

    async def run(self, end: socket.socket) -> None:
        """Pass on both directions until both have ended, or one breaks."""
        # The socket itself: a StreamReader and a StreamWriter copy all that passes, twice each.
        directions = [
            asyncio.ensure_future(self._inwards(end)),
            asyncio.ensure_future(self._outwards(end)),
        ]
        complete = False
        try:
            await asyncio.gather(*directions)
            complete = True
        except OSError:
            pass
        finally:
            for direction in directions:
                direction.cancel()
            # Its number may be another's as soon as it is closed.
            await asyncio.gather(*directions, return_exceptions=True)
            end.close()
            if not complete and not self._closed:
                self._send(_CLOSE, self._number)

    async def _inwards(self, end: socket.socket) -> None:
        self._end = end
        while True:
            if self._closed:
                raise ConnectionResetError
            if self._come:
                pieces, self._come = self._come, []
                await write_all(end.fileno(), pieces)
                self._count(sum(map(len, pieces)))
            elif self._ended:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_WR)
                return
            else:
                self._is_clear = True
                self._something.clear()
                await self._something.wait()

    async def _outwards(self, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._room <= 0:
                self._more_room.clear()
                await self._more_room.wait()
            data = await loop.sock_recv(end, min(PIECE, self._room))
            if not data:
                self._send(_END, self._number)
                return
            self._room -= len(data)
            self._send(_DATA, self._number, data)
