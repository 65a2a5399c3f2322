"""Docker's long answers, read on the event loop: pulls, builds, logs, events, streams.

docker-py reads them in a thread, and a thread that waits for a slow registry cannot be
stopped.  Here a cancelled request closes its connection at once, and the engine stops.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from .direct_reader import DirectReader
from .docker_endpoint import DockerEndpoint

_PIECE = 64 * 1024
_CONNECT_SECONDS = 10.0
_FRAME_HEADER = 8


class Answer:
    """An HTTP answer whose body comes piece by piece; reading may be cancelled and resumed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.writer = writer
        self._reader = reader
        self._chunked = False
        # Bytes left of the chunk or of the whole body; -1 is "until the connection ends".
        self._left = -1

    async def read_head(self) -> None:
        status, *headers = (
            (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        )
        self.status = int(status.split(" ", 2)[1])
        for header in headers:
            name, _, value = header.partition(":")
            if name.lower() == "transfer-encoding" and value.strip().lower() == "chunked":
                self._chunked, self._left = True, 0
            elif name.lower() == "content-length" and not self._chunked:
                self._left = int(value)

    async def read(self) -> bytes:
        """Return the next piece of the body, or ``b""`` at its end.

        Raises:
            ConnectionError: The engine went away in the middle.
        """
        if self._chunked and self._left == 0 and not await self._next_chunk():
            return b""
        if self._left == 0:
            return b""
        piece = await self._reader.read(_PIECE if self._left < 0 else min(self._left, _PIECE))
        if self._left > 0:
            if not piece:
                raise ConnectionError("the connection ended in the middle of an answer")
            self._left -= len(piece)
        return piece

    async def hand_on(self, take: Callable[[bytes], None]) -> None:
        """Call with the rest of the body as it comes; return at its end."""
        if self._left < 0 and isinstance(self._reader, DirectReader):
            await self._reader.hand_on(take)
            return
        while piece := await self.read():
            take(piece)

    async def read_all(self, limit: int) -> bytes:
        body = bytearray()
        while len(body) < limit and (piece := await self.read()):
            body += piece
        return bytes(body)

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the JSON objects of a body that has one on each line."""
        rest = b""
        while piece := await self.read():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    yield json.loads(line)
        if rest.strip():
            yield json.loads(rest)

    def close(self) -> None:
        """Drop the connection; the engine notices and stops what the answer was about."""
        self.writer.transport.abort()

    async def _next_chunk(self) -> bool:
        # Every chunk but the first is preceded by the line end of the one before.
        while not (line := (await self._reader.readline()).strip()):
            if self._reader.at_eof():
                raise ConnectionError("the connection ended in the middle of an answer")
        self._left = int(line.split(b";")[0], 16)
        if self._left == 0:
            self._chunked = False
        return self._left > 0


class Frames:
    """Standard output and error of a process, taken apart again."""

    def __init__(self, answer: Answer, *, tty: bool = False) -> None:
        self._answer = answer
        self._tty = tty
        #: What has come and was not taken yet.
        self._rest = memoryview(b"")
        #: Of which kind the frame is that has begun, and how much of it is missing.
        self._kind = 0
        self._left = 0

    async def next(self) -> tuple[int, bytes]:
        """Return ``(1 or 2, data)``, or ``(0, b"")`` at the end.

        An engine sends small frames; those of one kind that are there come together, and one
        that is not complete comes in parts.
        """
        while True:
            kind, data = self._taken()
            if data:
                return kind, data
            piece = await self._answer.read()
            if self._tty or not piece:
                return (1, piece) if piece else (0, b"")
            self._rest = memoryview(bytes(self._rest) + piece if self._rest else piece)

    async def hand_on(self, take: Callable[[int, Any], None]) -> None:
        """Call with what comes, as it comes, as with what ``next`` returns; return at the end."""

        def taken(piece: bytes) -> None:
            if self._tty:
                take(1, piece)
                return
            self._rest = memoryview(bytes(self._rest) + piece if self._rest else piece)
            for kind, part in self._parts():
                take(kind, part)

        taken(b"")
        await self._answer.hand_on(taken)

    def _taken(self) -> tuple[int, bytes]:
        kind, parts = 0, []
        for kind, part in self._parts():
            parts.append(part)
            if self._left == 0 and len(self._rest) >= _FRAME_HEADER and self._rest[0] != kind:
                break
        return kind, b"".join(parts)

    def _parts(self) -> Iterator[tuple[int, memoryview]]:
        while True:
            if self._left == 0:
                if len(self._rest) < _FRAME_HEADER:
                    return
                self._kind, self._left = struct.unpack_from(">BxxxL", self._rest)
                self._rest = self._rest[_FRAME_HEADER:]
                continue
            part = self._rest[: self._left]
            if not part:
                return
            self._left -= len(part)
            self._rest = self._rest[len(part) :]
            yield self._kind, part


async def request(
    endpoint: DockerEndpoint,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | AsyncIterator[bytes] = b"",
) -> Answer:
    """Send a request and return the answer when its head has come; the caller closes it.

    Raises:
        OSError, ValueError: There is no connection, or what answers is not HTTP.
    """
    try:
        reader, writer = await asyncio.wait_for(endpoint.connect(), _CONNECT_SECONDS)
    except asyncio.TimeoutError as error:
        raise ConnectionError(f"no connection within {_CONNECT_SECONDS:.0f} s") from error
    answer = Answer(reader, writer)
    complete = False
    try:
        lines = {"Host": "docker", "User-Agent": "jupyter_dlenv", **(headers or {})}
        if isinstance(body, bytes):
            lines["Content-Length"] = str(len(body))
        else:
            lines["Transfer-Encoding"] = "chunked"
        target = f"{path}?{urlencode(query)}" if query else path
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        if isinstance(body, bytes):
            writer.write(body)
        else:
            await _send(writer, body)
        await answer.read_head()
        complete = True
        return answer
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionError("the engine closed the connection") from error
    finally:
        if not complete:
            answer.close()


@asynccontextmanager
async def asking(
    endpoint: DockerEndpoint, method: str, path: str, **arguments: Any
) -> AsyncIterator[Answer]:
    """Send a request, and close its connection when the block is left."""
    answer = await request(endpoint, method, path, **arguments)
    try:
        yield answer
    finally:
        answer.close()


async def _send(writer: asyncio.StreamWriter, body: AsyncIterator[bytes]) -> None:
    try:
        async for piece in body:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    except ConnectionError:
        # The engine has refused before it had all.  Its answer says why.
        pass
