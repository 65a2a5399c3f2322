"""Why a kernel ended, in the words of whoever has to do something about it."""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from ..models import IDLE_EXIT, Environment
from .link import KernelExit

#: The event that tells it to the pages; the log is only told to whoever asks for it.
KERNEL_EXIT = "https://schema.jupyter-dlenv.org/kernel-exit/v1"

Cause = Literal[
    "exit",
    "signal",
    "out-of-memory",
    "shared-memory-full",
    "environment-stopped",
    "environment-idle",
    "environment-removed",
    "environment-out-of-memory",
    "environment-ended",
]

_FULL = 1024 * 1024
_SIGNALLED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExit:
    """How a kernel ended.

    Attributes:
        exit_code: The kernel's own, negative for a signal; the container's if that ended.
        signal: Its name, or empty.
        log: The last lines that the kernel wrote outside of notebooks.
        at: When it was noticed, as ISO 8601 in UTC.
    """

    kernel_id: str
    environment: str
    cause: Cause
    message: str
    hint: str
    exit_code: int | None = None
    signal: str = ""
    log: str = ""
    at: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat())

    @property
    def of_environment(self) -> bool:
        """Tell whether all of the environment ended: nobody asked for it to start again."""
        return self.cause.startswith("environment-")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_event(self) -> dict[str, Any]:
        """Return what everybody may read: no log, in which may stand anything."""
        return {key: value for key, value in asdict(self).items() if key not in ("log", "at")}


def explain_kernel(ended: KernelExit, *, kernel_id: str, environment: str) -> LastExit:
    """Say why a kernel ended whose agent has told of it."""
    name = _signal_name(ended.signal)
    cause: Cause
    if ended.stopping and ended.reason == "idle":
        cause = "environment-idle"
        message = f"The environment {environment!r} has stopped: nobody had used it for a while."
        hint = "Start the kernel again to start the environment."
    elif ended.stopping:
        cause, message = "environment-stopped", f"The environment {environment!r} was stopped."
        hint = "Start the kernel again to start the environment."
    elif ended.out_of_memory:
        cause, message = "out-of-memory", "The kernel was killed: no memory was left."
        hint = "Use smaller batches, free what is not needed, or raise the environment's limit."
    elif ended.signal and (ended.signal == signal.SIGBUS or ended.shm_free < _FULL) and _has(ended):
        cause = "shared-memory-full"
        message = f"The kernel was ended by {name}: /dev/shm ({_size(ended.shm_size)}) is full."
        hint = "Launch the environment again with more, such as `--shm-size 8g`."
    elif ended.signal:
        cause, message = "signal", f"The kernel was ended by {name}."
        hint = _HINTS.get(name, "The last lines of its log are below.")
    else:
        cause, message = "exit", f"The kernel ended with exit code {ended.exit_code}."
        hint = "A cell called exit, or a library ended the process; the log may say which."
    return LastExit(
        kernel_id=kernel_id,
        environment=environment,
        cause=cause,
        message=message,
        hint=hint,
        exit_code=ended.exit_code,
        signal=name,
        log=ended.log,
    )


def explain_environment(
    found: Environment | None, *, kernel_id: str, environment: str, engine_error: str = ""
) -> LastExit:
    """Say why a kernel ended of which nothing is left to tell.

    Args:
        found: The environment as it is now; ``None`` if it was removed, or nobody can know.
        engine_error: Why nobody can know.
    """
    cause: Cause
    hint = "Start the kernel again to start the environment."
    code = found.exit_code if found else None
    if engine_error:
        cause = "environment-ended"
        message = f"The environment {environment!r} ended, and its engine does not say why."
        hint = engine_error
    elif found is None:
        cause, message = "environment-removed", f"The environment {environment!r} was removed."
        hint = "Launch it again, or choose another kernel."
    elif found.out_of_memory:
        cause = "environment-out-of-memory"
        message = f"The environment {environment!r} was killed: no memory was left."
    elif code == IDLE_EXIT:
        cause = "environment-idle"
        message = f"The environment {environment!r} has stopped: nobody had used it for a while."
    elif code in (0, _SIGNALLED + signal.SIGTERM, _SIGNALLED + signal.SIGKILL):
        cause, message = "environment-stopped", f"Somebody stopped the environment {environment!r}."
    elif code is None:
        cause, message = "environment-ended", f"The environment {environment!r} ended."
    else:
        cause = "environment-ended"
        message = f"The environment {environment!r} ended with exit code {code}."
    return LastExit(
        kernel_id=kernel_id,
        environment=environment,
        cause=cause,
        message=message,
        hint=hint,
        exit_code=code,
    )


_HINTS = {
    "SIGKILL": "Somebody killed it, or the host ran out of memory: `dmesg` on the host says.",
    "SIGSEGV": "A library crashed, perhaps two versions that do not fit; the log may say which.",
    "SIGABRT": "A library gave up; the last lines of the log say why.",
    "SIGILL": "A library was built for another processor.",
}


def _has(ended: KernelExit) -> bool:
    return ended.shm_size > 0


def _size(number: int) -> str:
    megabytes = number / 1024**2
    return f"{megabytes:.0f} MB" if megabytes < 1024 else f"{megabytes / 1024:.0f} GB"


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name if signum else ""
    except ValueError:
        return f"signal {signum}"
