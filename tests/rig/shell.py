"""Runs commands and waits for conditions, neither of them for ever."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator


def until(seconds: float, what: str) -> Iterator[None]:
    """Yield every 50 ms, and raise when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)
    raise TimeoutError(f"Waited {seconds} s for {what}.")


def run(*command: str) -> str:
    return subprocess.run(
        command, check=True, timeout=60, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout


def quietly(*command: str) -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return run(*command)
    return ""
