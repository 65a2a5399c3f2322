"""Pulls as jobs: they go on when the browser that asked for them is closed."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..engines.base import ImageFacts
from ..environments import Environments
from ..errors import DlenvError, JobNotFoundError, PullCancelledError
from ..models import Phase, Progress
from ..obtain import forwarder
from .failures import failure_of
from .jobs import now

_MOST_ENDED = 100
_STOP_TIMEOUT = 5.0


class Pull:
    """One pull: what is wanted, how far it is, and how it ended."""

    def __init__(self, image: str) -> None:
        self.id = secrets.token_hex(8)
        self.image = image
        self.progress = Progress(phase=Phase.QUEUED)
        self.error: DlenvError | None = None
        self.created = now()
        self.ended = ""
        self.cancelling = False

    @property
    def phase(self) -> Phase:
        return self.progress.phase

    @property
    def words(self) -> str:
        return f"the pull of {self.image}"

    def to_json(self) -> dict[str, Any]:
        """Return everything a page needs that is opened in the middle of a pull."""
        progress = self.progress.to_json()
        del progress["log"]  # pulls have none
        return {
            "id": self.id,
            "image": self.image,
            **progress,
            "cancelling": self.cancelling,
            "error": self.error.to_json() if self.error else None,
            "created": self.created,
            "ended": self.ended,
        }


class PullJobs:
    """The pulls of this server: those that run, and for a while those that ended."""

    def __init__(
        self,
        environments: Callable[[], Environments],
        *,
        changed: Callable[[Pull], None],
        memory: float,
    ) -> None:
        """Hold no pull yet.

        Args:
            environments: Where to fetch to; asked when there is something to fetch.
            changed: Hears of every report of every pull, on the event loop.
            memory: How many seconds a pull that ended is remembered.
        """
        self._environments = environments
        self._changed = changed
        self._memory = memory
        self._pulls: dict[str, Pull] = {}
        self._tasks: dict[str, asyncio.Task[ImageFacts]] = {}
        self._ended: deque[tuple[float, str]] = deque()

    def start(self, image: str) -> Pull:
        """Begin to fetch an image, or return the pull of it that runs."""
        for running in (self._pulls[pull_id] for pull_id in self._tasks):
            if running.image == image and not running.cancelling:
                return running
        library = self._environments().library
        pull = Pull(image)
        self._pulls[pull.id] = pull
        report = forwarder(Phase.PULLING, lambda report: self._report(pull, report))
        task = asyncio.create_task(library.fetch(image, report), name=f"pull of {image}")
        self._tasks[pull.id] = task
        task.add_done_callback(lambda done: self._finish(pull, done))
        return pull

    def list(self) -> tuple[Pull, ...]:
        """Return the pulls that are remembered, oldest first."""
        self._forget()
        return tuple(self._pulls.values())

    def get(self, pull_id: str) -> Pull:
        """Return one pull.

        Raises:
            JobNotFoundError
        """
        self._forget()
        try:
            return self._pulls[pull_id]
        except KeyError:
            raise JobNotFoundError(f"There is no pull {pull_id[:40]!r}.") from None

    def cancel(self, pull_id: str) -> Pull:
        """Stop a pull, unless a launch waits for the same image: then only this job ends.

        Raises:
            JobNotFoundError
        """
        pull = self.get(pull_id)
        task = self._tasks.get(pull_id)
        if task is not None and not pull.cancelling:
            pull.cancelling = True
            task.cancel()
            self._changed(pull)
        return pull

    async def aclose(self) -> None:
        """Cancel what runs; what has come stays on the engine."""
        tasks = tuple(self._tasks.values())
        for pull_id in tuple(self._tasks):
            self.cancel(pull_id)
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)
            # Their callbacks, which tell how the pulls ended, are due now.
            await asyncio.sleep(0)

    def _report(self, pull: Pull, report: Progress) -> None:
        pull.progress = report
        self._changed(pull)

    def _finish(self, pull: Pull, task: asyncio.Task[ImageFacts]) -> None:
        del self._tasks[pull.id]
        pull.ended = now()
        self._ended.append((time.monotonic(), pull.id))
        pull.error = _failure(task)
        phase, message = Phase.READY, f"{pull.image} is here"
        if pull.error is not None:
            cancelled = isinstance(pull.error, PullCancelledError)
            phase = Phase.CANCELLED if cancelled else Phase.FAILED
            message = str(pull.error)
        pull.progress = replace(
            pull.progress, phase=phase, message=message, speed=0.0, seconds_left=None
        )
        self._changed(pull)
        self._forget()

    def _forget(self) -> None:
        oldest = time.monotonic() - self._memory
        while self._ended and (len(self._ended) > _MOST_ENDED or self._ended[0][0] < oldest):
            del self._pulls[self._ended.popleft()[1]]


def _failure(task: asyncio.Task[ImageFacts]) -> DlenvError | None:
    if task.cancelled():
        return PullCancelledError("The pull was cancelled.")
    error = task.exception()
    return failure_of(error, task.get_name()) if error is not None else None
