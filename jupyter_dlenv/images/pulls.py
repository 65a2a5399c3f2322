"""Pulls that are shared by all who want the same image, and that survive bad connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from ..engines.base import ImageFacts, ReportTransfer, TransferProgress
from ..engines.completion import to_its_end
from ..errors import DlenvError, RegistryRefusedError, RegistryUnreachableError
from .remote import Blob
from .tally import Tally

PullOnce = Callable[[str, ReportTransfer], Coroutine[Any, Any, ImageFacts]]

#: Pauses before trying again a registry that nothing has come from yet: the address may be wrong.
_FIRST_PAUSES = (0.3, 1.0)
#: And one that broke off, each time that nothing came in between: some minutes.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0)
#: Tokens are refused now and then, and are good a moment later.
_REFUSALS = 3
_TICK_SECONDS = 1.0


class Pulls:
    """The pulls of this process on one engine.

    Pulls of other processes are none of these; engines themselves fetch a layer only once.
    """

    def __init__(self, pull_once: PullOnce) -> None:
        self._pull_once = pull_once
        self._running: dict[str, _Pull] = {}

    async def pull(
        self, image: str, report: ReportTransfer, *, expected: tuple[Blob, ...] = ()
    ) -> ImageFacts:
        """Fetch an image, or wait for the pull of it that is under way.

        Who is cancelled leaves; when the last one has left, the pull itself is cancelled,
        and has ended when this raises.

        Args:
            expected: The layers that will be fetched, if that is known.

        Raises:
            ImageNotFoundError, RegistryRefusedError, RegistryUnreachableError, DiskFullError
        """
        pull = self._running.get(image)
        if pull is None:
            pull = _Pull(image, self._pull_once, expected, ended=self._forget)
            self._running[image] = pull
        return await pull.join(report)

    def _forget(self, pull: _Pull) -> None:
        if self._running.get(pull.image) is pull:
            del self._running[pull.image]


class _Pull:
    """One pull, and those who wait for it."""

    def __init__(
        self,
        image: str,
        pull_once: PullOnce,
        expected: tuple[Blob, ...],
        *,
        ended: Callable[[_Pull], None],
    ) -> None:
        self.image = image
        self._pull_once = pull_once
        self._ended = ended
        self._clock = asyncio.get_running_loop().time
        self._tally = Tally(expected, now=self._clock())
        self._last: TransferProgress | None = None
        self._listeners: dict[object, ReportTransfer] = {}
        self._task = asyncio.create_task(self._run(), name=f"pull of {image}")
        self._task.add_done_callback(self._finish)

    async def join(self, report: ReportTransfer) -> ImageFacts:
        """Hear of the pull until it has ended, or until one is cancelled."""
        ticket = object()
        self._listeners[ticket] = report
        if self._last is not None:
            report(self._last)
        try:
            return await asyncio.shield(self._task)
        finally:
            del self._listeners[ticket]
            if not self._listeners and not self._task.done():
                # Whoever comes now begins a new one.
                self._ended(self)
                self._task.cancel()
                with contextlib.suppress(asyncio.CancelledError, DlenvError):
                    await to_its_end(self._task)

    async def _run(self) -> ImageFacts:
        ticking = asyncio.create_task(self._tick())
        try:
            return await self._persist()
        finally:
            ticking.cancel()

    async def _persist(self) -> ImageFacts:
        """Try again, as long as that makes sense."""
        refusals = failures = 0
        while True:
            before = self._tally.current
            try:
                return await self._pull_once(self.image, self._hear)
            except (RegistryRefusedError, RegistryUnreachableError) as error:
                if self._tally.current > before:
                    refusals = failures = 0
                pauses = _PAUSES if self._tally.current else _FIRST_PAUSES
                if isinstance(error, RegistryRefusedError):
                    refusals += 1
                else:
                    failures += 1
                tries = refusals + failures
                if refusals >= _REFUSALS or tries > len(pauses):
                    raise
                pause = pauses[tries - 1]
                reason = str(error).rstrip(".")
            self._tell(
                self._tally.interrupted(
                    f"{reason}: trying again in {pause:.0f} s", now=self._clock()
                )
            )
            await asyncio.sleep(pause)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._last is not None:
                self._tell(self._tally.report(now=self._clock()))

    def _hear(self, progress: TransferProgress) -> None:
        self._tell(self._tally.add(progress, now=self._clock()))

    def _tell(self, progress: TransferProgress) -> None:
        self._last = progress
        for report in tuple(self._listeners.values()):
            report(progress)

    def _finish(self, task: asyncio.Task[ImageFacts]) -> None:
        self._ended(self)
        if not task.cancelled():
            # All may have left in the moment in which it failed: then nobody asks.
            task.exception()
