"""What the server says on Jupyter's event bus, and how often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from ..access.relay import Place
from ..models import Environment, LayerProgress, Phase, Progress
from .jobs import Job
from .pulls import Pull

_log = logging.getLogger(__name__)
_SCHEMAS = Path(__file__).parent / "schemas"

ENVIRONMENT = "https://schema.jupyter-dlenv.org/environment/v1"
PROGRESS = "https://schema.jupyter-dlenv.org/progress/v1"
PULL = "https://schema.jupyter-dlenv.org/pull/v1"
ENGINE = "https://schema.jupyter-dlenv.org/engine/v1"
EVENT_SCHEMAS = tuple(
    _SCHEMAS / f"{name}.yaml"
    for name in ("environment", "progress", "pull", "kernel_exit", "engine")
)

Action = Literal["launched", "started", "stopped", "removed", "failed", "forwards", "idle"]

_LONGEST_MESSAGE = 200
_LONGEST_NAME = 500
#: How engines call a layer for which nothing is left to do.
_LAYER_ENDED = frozenset({"pull complete", "already exists", "done"})


class Emit(Protocol):
    """What we need of ``jupyter_events.EventLogger``."""

    def __call__(self, *, schema_id: str, data: dict[str, Any]) -> Any: ...


class Announcer:
    """Tells every open page what happens, without drowning any.

    Everybody who may read events on this server reads these, and an administrator may
    write them to a log: no variables, no paths and no build output go in.
    """

    def __init__(self, emit: Emit, *, owner: Callable[[], str], interval: float) -> None:
        """Announce nothing yet.

        Args:
            emit: The event bus.
            owner: Whose environments these are.
            interval: Least number of seconds between two events of one job and phase.
        """
        self._emit = emit
        self._owner = owner
        self._interval = interval
        self._pace: dict[str, _Pace] = {}

    def job_changed(self, job: Job) -> None:
        """Announce a job's progress, at once or when its turn has come."""
        self._paced(job.id, job.phase, PROGRESS, _progress(job))
        if job.phase is Phase.FAILED:
            self.environment("failed", name=job.spec.name)

    def pull_changed(self, pull: Pull) -> None:
        """Announce the progress of a pull, at once or when its turn has come."""
        self._paced(pull.id, pull.phase, PULL, _pull(pull))

    def environment(self, action: Action, *, name: str, environment_id: str = "") -> None:
        """Announce what happened to an environment."""
        self._send(
            ENVIRONMENT,
            {"action": action, "name": name, "id": environment_id, "owner": self._owner()},
        )

    def idle(self, environment: Environment, seconds_left: float) -> None:
        """Announce that an environment stops soon, because nobody uses it."""
        self._send(
            ENVIRONMENT,
            {
                "action": "idle",
                "name": environment.name,
                "id": environment.id,
                "owner": self._owner(),
                "stops_in": round(seconds_left),
            },
        )

    def forwards(self, place: Place) -> None:
        """Announce that forwards of an environment were added or removed."""
        self.environment("forwards", name=place.name, environment_id=place.environment_id)

    def engine(self, name: str) -> None:
        """Announce that another engine is in use."""
        self._send(ENGINE, {"name": name, "owner": self._owner()})

    def close(self) -> None:
        """Announce what was held back, and set no timer any more."""
        for pace in self._pace.values():
            self._send_pending(pace)
        self._pace.clear()

    def _paced(self, job_id: str, phase: Phase, schema: str, event: dict[str, Any]) -> None:
        pace = self._pace.setdefault(job_id, _Pace(schema))
        wait = pace.last + self._interval - asyncio.get_running_loop().time()
        if pace.phase is not phase:
            # The last word on the phase that is over must not be lost.
            self._send_pending(pace)
            wait = 0.0
        pace.phase = phase
        pace.pending = event
        if wait <= 0:
            self._send_pending(pace)
        elif pace.timer is None:
            loop = asyncio.get_running_loop()
            pace.timer = loop.call_later(wait, self._send_pending, pace)
        if phase.ended:
            del self._pace[job_id]

    def _send_pending(self, pace: _Pace) -> None:
        if pace.timer is not None:
            pace.timer.cancel()
            pace.timer = None
        if pace.pending is not None:
            pace.last = asyncio.get_running_loop().time()
            event, pace.pending = pace.pending, None
            self._send(pace.schema, event)

    def _send(self, schema: str, data: dict[str, Any]) -> None:
        try:
            self._emit(schema_id=schema, data=data)
        except Exception:  # noqa: BLE001
            # Others plug code of their own into the bus; a launch must not fail by it.
            _log.exception("An event of %s could not be sent", schema)


class _Pace:
    """What of one job was announced last, and what waits."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.phase: Phase | None = None
        self.last = 0.0
        self.pending: dict[str, Any] | None = None
        self.timer: asyncio.TimerHandle | None = None


def _progress(job: Job) -> dict[str, Any]:
    progress = job.progress
    # The step of a Dockerfile may show a secret in full, and a failure a path.
    message = "" if job.build_dir or job.error else progress.message
    return {
        "job": job.id,
        "name": job.spec.name,
        "phase": progress.phase.value,
        "message": message.partition("\n")[0][:_LONGEST_MESSAGE],
        **_numbers(progress),
        "cancelling": job.cancelling,
    }


def _pull(pull: Pull) -> dict[str, Any]:
    # A failure may show a path.
    message = "" if pull.error else pull.progress.message
    return {
        "pull": pull.id,
        "image": pull.image[:_LONGEST_NAME],
        "phase": pull.phase.value,
        "message": message.partition("\n")[0][:_LONGEST_MESSAGE],
        **_numbers(pull.progress),
        "cancelling": pull.cancelling,
    }


def _numbers(progress: Progress) -> dict[str, Any]:
    left = progress.seconds_left
    return {
        "current": progress.current,
        "total": progress.total,
        "speed": round(progress.speed),
        "seconds_left": None if left is None else round(left),
        "layers_done": sum(map(_is_done, progress.layers)),
        "layers_total": len(progress.layers),
    }


def _is_done(layer: LayerProgress) -> bool:
    return layer.state.lower() in _LAYER_ENDED
