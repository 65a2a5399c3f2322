"""A process that was added to a Docker container, and its standard streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ..errors import CapabilityMissingError, EngineError
from .docker_errors import translated
from .docker_http import Answer, Frames

_INSPECT_SECONDS = 0.02
_CLOSE_SECONDS = 1.0


class DockerStream:
    """One ``exec`` of Docker, on a connection of its own.

    Args:
        inspect: Asks the engine about the process.
        resize: Tells the engine the size (height, width) of the terminal.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        url: str,
        tty: bool,
        inspect: Callable[[], Awaitable[dict[str, Any]]],
        resize: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._answer = answer
        self._frames = Frames(answer, tty=tty)
        self._url = url
        self._inspect = inspect
        self._resize = resize
        self._reading = asyncio.Lock()

    async def read(self) -> tuple[int, bytes]:
        async with self._reading:
            with translated(self._url):
                try:
                    return await self._frames.next()
                except ConnectionResetError:
                    # How some engines say that the container was stopped.
                    return 0, b""

    async def hand_on(self, take: Callable[[int, Any], None]) -> None:
        async with self._reading:
            with translated(self._url), suppress(ConnectionResetError):
                await self._frames.hand_on(take)

    async def write(self, data: bytes) -> None:
        # What is typed after the end is lost, as on any terminal; ``read`` tells of the end.
        with suppress(ConnectionError):
            self._answer.writer.write(data)
            await self._answer.writer.drain()

    async def close_stdin(self) -> None:
        if not self._answer.writer.can_write_eof():
            raise CapabilityMissingError(
                "Through TLS, standard input cannot be ended while output is still read.",
                hint="Reach the engine by ssh:// instead.",
            )
        with suppress(OSError):
            self._answer.writer.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        # A window may be resized when the process has just ended, which is no failure.
        with suppress(EngineError):
            await self._resize(rows, columns)

    async def wait(self) -> int:
        while (await self.read())[0]:
            pass
        pause = _INSPECT_SECONDS
        # The end of the output comes a moment before the exit code.
        while (process := await self._inspect())["Running"]:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1)
        return int(process["ExitCode"])

    async def aclose(self) -> None:
        writer = self._answer.writer
        writer.close()
        try:
            # What was written shall arrive, unless nobody takes it.
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _CLOSE_SECONDS)
        finally:
            self._answer.close()
