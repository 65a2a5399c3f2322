"""Savings as jobs: a push goes on when the browser that asked for it is closed."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..environments import Environments
from ..errors import DlenvError, ImageExistsError, JobNotFoundError, SaveCancelledError
from ..models import Phase, Progress
from ..saving import SavedImage, save_environment
from .failures import internal_error

_log = logging.getLogger(__name__)

_MOST_ENDED = 100
#: A commit that has begun is waited for, but not for ever.
_STOP_TIMEOUT = 20.0


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


@dataclass(kw_only=True, eq=False)
class Save:
    """One saving: what is wanted, how far it is, and how it ended."""

    name: str
    image: str
    push: bool
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    progress: Progress = field(default_factory=lambda: Progress(phase=Phase.QUEUED))
    error: DlenvError | None = None
    saved: SavedImage | None = None
    created: str = field(default_factory=_now)
    ended: str = ""
    cancelling: bool = False

    @property
    def words(self) -> str:
        return f"the saving of {self.name!r}"

    def to_json(self) -> dict[str, Any]:
        """Return everything a page needs that is opened in the middle of a saving."""
        progress = self.progress.to_json()
        del progress["log"]  # a saving has none
        return {
            "id": self.id,
            "name": self.name,
            "image": self.image,
            "push": self.push,
            **progress,
            "cancelling": self.cancelling,
            "error": self.error.to_json() if self.error else None,
            "saved": self.saved.to_json() if self.saved else None,
            "created": self.created,
            "ended": self.ended,
        }


class SaveJobs:
    """The savings of this server: those that run, and for a while those that ended."""

    def __init__(self, environments: Callable[[], Environments], *, memory: float) -> None:
        """Hold no saving yet.

        Args:
            environments: Where to save; asked when there is something to save.
            memory: How many seconds a saving that ended is remembered.
        """
        self._environments = environments
        self._memory = memory
        self._saves: dict[str, Save] = {}
        self._tasks: dict[str, asyncio.Task[SavedImage]] = {}
        self._ended: deque[tuple[float, str]] = deque()

    def start(self, name: str, image: str, *, push: bool, replace: bool) -> Save:
        """Begin to save an environment, as ``save_environment`` does.

        Raises:
            ImageExistsError: An image of that name is being made now.
        """
        if any(self._saves[running].image == image for running in self._tasks):
            raise ImageExistsError(f"{image} is being made already.", hint="Wait for it.")
        environments = self._environments()
        save = Save(name=name, image=image, push=push)
        self._saves[save.id] = save

        def report(progress: Progress) -> None:
            save.progress = progress

        task = asyncio.create_task(
            save_environment(environments, name, image, push=push, replace=replace, report=report),
            name=f"saving of {name}",
        )
        self._tasks[save.id] = task
        # Not inside the task: one that is cancelled before its first step never runs at all.
        task.add_done_callback(lambda done: self._finish(save, done))
        return save

    def list(self) -> tuple[Save, ...]:
        """Return the savings that are remembered, oldest first."""
        self._forget()
        return tuple(self._saves.values())

    def get(self, save_id: str) -> Save:
        """Return one saving.

        Raises:
            JobNotFoundError
        """
        self._forget()
        try:
            return self._saves[save_id]
        except KeyError:
            raise JobNotFoundError(f"There is no saving {save_id[:40]!r}.") from None

    def cancel(self, save_id: str) -> Save:
        """Stop a saving; its phase tells when it has undone what it did.

        Raises:
            JobNotFoundError
        """
        save = self.get(save_id)
        task = self._tasks.get(save_id)
        # A second cancellation would hit the clean-up of the first.
        if task is not None and not save.cancelling:
            save.cancelling = True
            task.cancel()
        return save

    async def aclose(self) -> None:
        """Cancel what runs, and wait a bounded time until it has cleaned up."""
        tasks = tuple(self._tasks.values())
        for save_id in tuple(self._tasks):
            self.cancel(save_id)
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)
            # Their callbacks, which tell how the savings ended, are due now.
            await asyncio.sleep(0)

    def _finish(self, save: Save, task: asyncio.Task[SavedImage]) -> None:
        del self._tasks[save.id]
        save.ended = _now()
        self._ended.append((time.monotonic(), save.id))
        save.error = _failure(task)
        phase, message = Phase.READY, f"{save.image} is made"
        if save.error is None:
            save.saved = task.result()
        else:
            cancelled = isinstance(save.error, SaveCancelledError)
            phase = Phase.CANCELLED if cancelled else Phase.FAILED
            message = str(save.error)
        save.progress = replace(save.progress, phase=phase, message=message)
        self._forget()

    def _forget(self) -> None:
        oldest = time.monotonic() - self._memory
        while self._ended and (len(self._ended) > _MOST_ENDED or self._ended[0][0] < oldest):
            del self._saves[self._ended.popleft()[1]]


def _failure(task: asyncio.Task[SavedImage]) -> DlenvError | None:
    if task.cancelled():
        return SaveCancelledError("The saving was cancelled.")
    error = task.exception()
    if error is None or isinstance(error, DlenvError):
        return error
    _log.error("The %s failed unexpectedly", task.get_name(), exc_info=error)
    return internal_error()
