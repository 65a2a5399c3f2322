"""Launches as jobs: they outlive the request, and the browser, that asked for them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Protocol

from ..environments import Environments
from ..errors import DlenvError, JobNotFoundError, LaunchCancelledError, NameTakenError
from ..gpus.line import PlaceInLine
from ..models import Environment, EnvironmentSpec, Phase, Progress
from .failures import failure_of

_log = logging.getLogger(__name__)

#: Ended jobs that are remembered at most, however young.
_MOST_ENDED = 200
_LOG_LINES = 2000
_LINE_LENGTH = 4096
#: A launch undoes its steps in seconds; an engine that hangs must not hold up the server.
_STOP_TIMEOUT = 20.0
#: One question to the engine and one small file.
_PIN_TIMEOUT = 10.0


class Project(Protocol):
    """What a launch may be of."""

    @property
    def path(self) -> str:
        """Return where its file is, as the form was told it."""

    async def pin(self, environments: Environments, launched: str) -> None:
        """Note the very image that was launched; fails of nothing that is expected."""


class Job:
    """One launch: what is wanted, how far it is, and how it ended."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        *,
        build_dir: str,
        line: PlaceInLine | None = None,
        authorize: tuple[str, ...] = (),
        project: Project | None = None,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.spec = spec
        self.build_dir = build_dir
        self.line = line
        self.authorize = authorize
        self.project = project
        self.progress = Progress(phase=Phase.QUEUED)
        self.log = BuildLog()
        self.error: DlenvError | None = None
        self.environment: Environment | None = None
        self.created = now()
        #: When each phase began, in order.
        self.phases = {Phase.QUEUED: self.created}
        self.ended = ""
        self.cancelling = False

    @property
    def phase(self) -> Phase:
        return self.progress.phase

    @property
    def words(self) -> str:
        return f"the launch of {self.spec.name!r}"

    def advance(self, progress: Progress) -> None:
        """Take a report, and note the time if it begins a phase."""
        self.progress = progress
        self.phases.setdefault(progress.phase, now())

    def to_json(self) -> dict[str, Any]:
        """Return everything a page needs that is opened in the middle, or asks for it again."""
        progress = self.progress.to_json()
        del progress["log"]  # has a route of its own
        return {
            "id": self.id,
            "name": self.spec.name,
            "spec": self.spec.to_json(),
            "build_dir": self.build_dir,
            "project": self.project.path if self.project else "",
            "authorize": self.authorize,
            "wait_for_gpus": self.line is not None,
            **progress,
            "cancelling": self.cancelling,
            "error": self.error.to_json() if self.error else None,
            "environment": self.environment.to_json() if self.environment else None,
            "created": self.created,
            "phases": {phase.value: began for phase, began in self.phases.items()},
            "ended": self.ended,
        }


class Jobs:
    """The launches of this server: those that run, and for a while those that ended."""

    def __init__(
        self,
        environments: Callable[[], Environments],
        *,
        changed: Callable[[Job], None],
        memory: float,
    ) -> None:
        """Hold no job yet.

        Args:
            environments: Where to launch; asked when there is something to launch.
            changed: Hears of every report of every job, on the event loop.
            memory: How many seconds an ended job is remembered.
        """
        self._environments = environments
        self._changed = changed
        self._memory = memory
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[Environment]] = {}
        self._ended: deque[tuple[float, str]] = deque()

    def launch(
        self,
        spec: EnvironmentSpec,
        *,
        build_dir: str = "",
        line: PlaceInLine | None = None,
        authorize: tuple[str, ...] = (),
        project: Project | None = None,
    ) -> Job:
        """Begin a launch.

        Args:
            build_dir: Build the image from the Dockerfile there.
            line: Wait in line for GPUs; a server that comes back takes the place over.
            authorize: Public keys that SSH lets in.
            project: Has its image pinned when the environment is there.

        Raises:
            NameTakenError: A job launches an environment of that name now.
        """
        for running in (self._jobs[job_id] for job_id in self._tasks):
            if running.spec.name == spec.name:
                raise NameTakenError(
                    f"Another launch of {spec.name!r} is under way.",
                    hint="Wait for it or cancel it, or choose another name.",
                )
        environments = self._environments()
        job = Job(spec, build_dir=build_dir, line=line, authorize=authorize, project=project)
        self._jobs[job.id] = job
        task = asyncio.create_task(self._launch(job, environments), name=f"launch of {spec.name}")
        self._tasks[job.id] = task
        # Not inside the task: one that is cancelled before its first step never runs at all.
        task.add_done_callback(lambda done: self._finish(job, done))
        return job

    def list(self) -> tuple[Job, ...]:
        """Return the jobs that are remembered, oldest first."""
        self._forget()
        return tuple(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            JobNotFoundError
        """
        self._forget()
        try:
            return self._jobs[job_id]
        except KeyError:
            raise JobNotFoundError(f"There is no job {job_id[:40]!r}.") from None

    def cancel(self, job_id: str) -> Job:
        """Ask a launch to undo what it did; its phase tells when it has.

        A job that ended, or that is being cancelled, is left alone.

        Raises:
            JobNotFoundError
        """
        job = self.get(job_id)
        task = self._tasks.get(job_id)
        # A second cancellation would hit the clean-up of the first.
        if task is not None and not job.cancelling:
            job.cancelling = True
            task.cancel()
            self._changed(job)
        return job

    async def aclose(self) -> None:
        """Cancel what runs, and wait a bounded time until it has cleaned up.

        Places in line for GPUs stay: the next server takes them over.
        """
        tasks = tuple(self._tasks.values())
        for job_id in tuple(self._tasks):
            line = self._jobs[job_id].line
            # One that is being cancelled by its user does not come back.
            if line is not None and not self._jobs[job_id].cancelling:
                line.stays = True
            self.cancel(job_id)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)
            for task in late:
                _log.warning("Gave up waiting for the %s to clean up", task.get_name())
            # Their callbacks, which tell how the jobs ended, are due now.
            await asyncio.sleep(0)

    async def _launch(self, job: Job, environments: Environments) -> Environment:
        environment = await environments.launch(
            job.spec,
            report=lambda report: self._report(job, report),
            build_dir=job.build_dir,
            line=job.line,
            authorize=job.authorize,
        )
        if job.project is not None:
            # Too late to cancel: the environment is there, whether its image is pinned or not.
            with suppress(asyncio.CancelledError, asyncio.TimeoutError):
                pinning = job.project.pin(environments, environment.spec.image)
                await asyncio.wait_for(pinning, _PIN_TIMEOUT)
        return environment

    def _report(self, job: Job, report: Progress) -> None:
        job.log.append(report.log)
        job.advance(replace(report, log=""))
        self._changed(job)

    def _finish(self, job: Job, task: asyncio.Task[Environment]) -> None:
        del self._tasks[job.id]
        job.ended = now()
        self._ended.append((time.monotonic(), job.id))
        job.error = _failure(task)
        if job.error is None:
            job.environment = task.result()
            job.advance(Progress(phase=Phase.READY, message="Ready"))
        else:
            cancelled = isinstance(job.error, LaunchCancelledError)
            phase = Phase.CANCELLED if cancelled else Phase.FAILED
            job.advance(replace(job.progress, phase=phase, message=str(job.error)))
        self._changed(job)
        self._forget()

    def _forget(self) -> None:
        oldest = time.monotonic() - self._memory
        while self._ended and (len(self._ended) > _MOST_ENDED or self._ended[0][0] < oldest):
            del self._jobs[self._ended.popleft()[1]]


def _failure(task: asyncio.Task[Environment]) -> DlenvError | None:
    if task.cancelled():
        return LaunchCancelledError("The launch was cancelled.")
    error = task.exception()
    return failure_of(error, task.get_name()) if error is not None else None


class BuildLog:
    """The last lines of a build's output, however it was cut into pieces."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._open = ""

    def append(self, text: str) -> None:
        """Take a piece of output, which may begin and end within a line."""
        *complete, rest = (self._open + text).split("\n")
        self._lines.extend(_shown(line) for line in complete)
        self._open = rest[-_LINE_LENGTH:]

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self._lines) + _shown(self._open)


def _shown(line: str) -> str:
    # A progress bar redraws its line: what counts is how it looked in the end.
    return line.rstrip("\r").rpartition("\r")[2][-_LINE_LENGTH:]


def now() -> str:
    """Return this moment as jobs note it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
