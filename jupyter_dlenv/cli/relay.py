"""This process's standard streams and terminal, tied to a process inside an environment."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import termios
import threading
import tty as terminal_modes
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol

from ..engines.base import Stream

_CHUNK = 64 * 1024


class Output(Protocol):
    """Where the output of the process goes."""

    async def write(self, number: int, data: bytes) -> None:
        """Take output of stream 1 or 2."""


class Standard:
    """Passes output on to this process's own stdout and stderr."""

    async def write(self, number: int, data: bytes) -> None:
        # Whoever reads our output may be slow; stdin and the window must not wait for that.
        await asyncio.to_thread(_write_all, sys.stderr if number == 2 else sys.stdout, data)


class Capture:
    """Keeps output for one JSON object."""

    def __init__(self) -> None:
        self._output = {1: bytearray(), 2: bytearray()}

    async def write(self, number: int, data: bytes) -> None:
        self._output[number] += data

    def to_json(self) -> dict[str, str]:
        return {
            "stdout": self._output[1].decode(errors="replace"),
            "stderr": self._output[2].decode(errors="replace"),
        }


async def relay(stream: Stream, output: Output, *, tty: bool) -> int:
    """Pass everything on until the process ends; return its exit code."""
    feeding = asyncio.ensure_future(_feed(stream))
    try:
        with _raw_terminal(stream) if tty else nullcontext():
            while True:
                number, data = await stream.read()
                if not number:
                    break
                await output.write(number, data)
        return await stream.wait()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(stream: Stream) -> None:
    """Pass stdin on, a chunk at a time, and then its end."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    wanted = threading.Semaphore(1)
    wake_reader, wake_writer = os.pipe()

    def read() -> None:
        # A thread, because asyncio cannot watch a file that stdin may be; and select,
        # because nothing that is typed after the end may be taken from the next program.
        while True:
            wanted.acquire()
            ready, _, _ = select.select([0, wake_reader], [], [])
            if wake_reader in ready:
                break
            try:
                data = os.read(0, _CHUNK)
            except OSError:
                data = b""
            loop.call_soon_threadsafe(chunks.put_nowait, data)
            if not data:
                break

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while data := await chunks.get():
            await stream.write(data)
            wanted.release()
        await stream.close_stdin()
    finally:
        os.write(wake_writer, b"x")
        wanted.release()
        await asyncio.to_thread(thread.join, 1)
        os.close(wake_reader)
        os.close(wake_writer)


@contextmanager
def _raw_terminal(stream: Stream) -> Iterator[None]:
    """Hand every key to the process, and tell it the size of the window."""
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(0)
    resizing: set[asyncio.Task[None]] = set()

    def resize() -> None:
        # Not that of shutil, which prefers what COLUMNS was once.
        columns, rows = os.get_terminal_size(0)
        task = loop.create_task(stream.resize(columns, rows))
        resizing.add(task)
        task.add_done_callback(resizing.discard)

    # Not flushed: what was typed ahead is meant for the process.
    terminal_modes.setraw(0, termios.TCSADRAIN)
    loop.add_signal_handler(signal.SIGWINCH, resize)
    resize()
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        for task in resizing:
            task.cancel()


def _write_all(file: object, data: bytes) -> None:
    descriptor = file.fileno()  # type: ignore[attr-defined]
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
