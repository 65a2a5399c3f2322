"""A plain process of this machine and its standard streams, with or without a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..errors import EngineError
from . import process_child

_PIECE = 64 * 1024
_END_OF_INPUT = b"\x04"


class ProcessStream:
    """One process, in a session of its own."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        stdin: asyncio.StreamWriter,
        outputs: dict[int, tuple[asyncio.StreamReader, asyncio.ReadTransport]],
        terminal: int,
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._outputs = outputs
        #: The file descriptor of our side of the terminal, or -1.
        self._terminal = terminal
        self._reading = asyncio.Lock()
        self._pending: dict[asyncio.Task[bytes], int] = {}
        for kind in outputs:
            self._read_on(kind)

    @classmethod
    async def open(
        cls, argv: tuple[str, ...], *, env: Mapping[str, str], cwd: str, tty: bool = False
    ) -> ProcessStream:
        """Start a process.

        Raises:
            EngineError: There is no such program or directory.
        """
        if tty:
            terminal, inner = pty.openpty()
            argv = (sys.executable, "-I", "-S", process_child.__file__, "terminal", *argv)
            theirs = (inner, inner, inner)
            ours = [os.dup(terminal), terminal]
        else:
            (their_in, our_in), (our_out, their_out), (our_err, their_err) = (
                os.pipe(),
                os.pipe(),
                os.pipe(),
            )
            terminal = -1
            theirs = (their_in, their_out, their_err)
            ours = [our_in, our_out, our_err]
        started = False
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[2],
                env=dict(env),
                cwd=cwd,
                start_new_session=not tty,
            )
            started = True
        except OSError as error:
            raise EngineError(f"{argv[0]} cannot be started.", detail=str(error)) from error
        finally:
            for descriptor in {*theirs, *(() if started else ours)}:
                os.close(descriptor)
        stdin = await _writer(ours[0])
        outputs = {kind: await _reader(ours[kind]) for kind in range(1, len(ours))}
        return cls(process, stdin, outputs, terminal)

    async def read(self) -> tuple[int, bytes]:
        async with self._reading:
            while self._pending:
                done, _ = await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
                task = done.pop()
                kind = self._pending.pop(task)
                # A terminal whose process has ended answers with an error.
                data = b"" if task.exception() else task.result()
                if data:
                    self._read_on(kind)
                    return kind, data
        return 0, b""

    async def hand_on(self, take: Callable[[int, Any], None]) -> None:
        while True:
            kind, data = await self.read()
            if not kind:
                return
            take(kind, data)

    async def write(self, data: bytes) -> None:
        # What is typed after the end is lost; ``read`` tells of the end.
        with suppress(ConnectionError):
            self._stdin.write(data)
            await self._stdin.drain()

    async def close_stdin(self) -> None:
        if self._terminal >= 0:
            await self.write(_END_OF_INPUT)
        else:
            self._stdin.close()

    async def resize(self, columns: int, rows: int) -> None:
        if self._terminal >= 0 and not self._outputs[1][1].is_closing():
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        while (await self.read())[0]:
            pass
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def aclose(self) -> None:
        self._stdin.close()
        for task in self._pending:
            task.cancel()
        for _, transport in self._outputs.values():
            transport.close()

    async def kill(self) -> None:
        """End the process and all of its session at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def _read_on(self, kind: int) -> None:
        reader, _ = self._outputs[kind]
        self._pending[asyncio.ensure_future(reader.read(_PIECE))] = kind


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=_PIECE)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader, transport


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    # The one public protocol that makes a writer wait for whoever reads slowly.
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()),
        os.fdopen(descriptor, "wb", buffering=0),
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
