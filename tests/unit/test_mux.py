"""Connections over a stream that breaks: all arrives, in order, once."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from jupyter_dlenv.agent.mux import Mux, Stream


class Wire(Stream):
    """One direction each way between two ends, until so many bytes have passed; what is under
    way then is lost."""

    def __init__(self, budget):
        self._budget = budget
        self._queue = asyncio.Queue(maxsize=8)
        self.other = None

    @classmethod
    def pair(cls, chance):
        ends = cls(chance.randrange(500_000)), cls(chance.randrange(500_000))
        ends[0].other, ends[1].other = reversed(ends)
        return ends

    async def hand_on(self, take):
        while data := await self._queue.get():
            take(data)

    async def write(self, pieces):
        whole = b"".join(pieces)[: self._budget]
        self._budget -= len(whole)
        # Cut anywhere, as a network cuts.
        for begin in range(0, len(whole), 50_000):
            await self.other._queue.put(whole[begin : begin + 50_000])
        if not self._budget:
            await self.other._queue.put(b"")
            raise BrokenPipeError


@dataclass
class Ends:
    """Two ends, a service behind the right one, and everything that has to end with the test."""

    tasks: list
    left: Mux = None
    right: Mux = None
    streams: int = 0

    def keep(self, work):
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def use_breaking_streams(self, chance):
        while True:
            a, b = Wire.pair(chance)
            heard = self.left.received, self.right.received
            self.streams += 1
            await asyncio.gather(self.left.run(a, heard[1]), self.right.run(b, heard[0]))

    def use_one_stream(self):
        a, b = Wire(1 << 40), Wire(1 << 40)
        a.other, b.other = b, a
        self.keep(self.left.run(a, 0))
        self.keep(self.right.run(b, 0))

    async def open(self, name):
        """Return a connection to a name at the other end."""
        ours, theirs = await _connected()
        self.left.open(name, theirs)
        self.tasks.append(ours[1])
        return ours

    async def echo(self, name):
        if name != "echo":
            raise FileNotFoundError(name)
        (reader, writer), here = await _connected()
        self.keep(_answer(reader, writer))
        return here


@asynccontextmanager
async def two_ends():
    ends = Ends([])
    ends.left = Mux(connect=ends.echo, hear=lambda _: None)
    ends.right = Mux(connect=ends.echo, hear=lambda _: None)
    try:
        yield ends
    finally:
        both = [*ends.left._tasks, *ends.right._tasks]
        for task in [*ends.tasks, *both]:
            task.close() if isinstance(task, asyncio.StreamWriter) else task.cancel()
        waits = [t for t in [*ends.tasks, *both] if not isinstance(t, asyncio.StreamWriter)]
        await asyncio.gather(*waits, return_exceptions=True)


async def _connected():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    return await asyncio.open_unix_connection(sock=ours), theirs


async def _answer(reader, writer):
    try:
        while data := await reader.read(10_000):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _write_for_ever(writer):
    while True:
        writer.write(bytes(100_000))
        await writer.drain()


async def test_nothing_is_lost_or_comes_twice_when_streams_break():
    chance = random.Random(7)

    async def talk(ends):
        reader, writer = await ends.open("echo")
        sent = chance.randbytes(1_500_000)
        writer.write(sent)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(-1), 20) == sent

    async with two_ends() as ends:
        ends.keep(ends.use_breaking_streams(chance))

        assert [True, True, True] == await asyncio.gather(*(talk(ends) for _ in range(3)))
        assert ends.streams > 10


async def test_who_does_not_read_holds_up_nobody_and_what_is_kept_is_limited():
    async with two_ends() as ends:
        ends.use_one_stream()
        _, stuffed = await ends.open("echo")
        stuffing = ends.keep(_write_for_ever(stuffed))

        reader, writer = await ends.open("echo")
        writer.write(b"hello")
        assert b"hello" == await asyncio.wait_for(reader.readexactly(5), 5)
        await asyncio.wait([stuffing], timeout=0.5)

        kept = sum(len(data) for _, data in [*ends.left._kept, *ends.right._kept])
        assert kept < 20_000_000


async def test_a_name_that_is_not_there_ends_the_connection():
    async with two_ends() as ends:
        ends.use_one_stream()

        reader, _ = await ends.open("../../etc/passwd")

        assert b"" == await asyncio.wait_for(reader.read(), 5)


async def test_whoever_sends_what_is_no_frame_is_not_listened_to():
    async with two_ends() as ends:
        a, b = Wire(1 << 40), Wire(1 << 40)
        a.other, b.other = b, a
        listening = ends.keep(ends.left.run(a, 0))

        await b.write([b"\xff" * 100])

        with pytest.raises(ConnectionError, match="a frame of"):
            await asyncio.wait_for(listening, 5)
