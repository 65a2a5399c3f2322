"""JSON lines on a socket, and the log that goes to the container's output."""

from __future__ import annotations

import json
import time
from typing import Any, Dict

PROTOCOL = 1
MAX_LINE = 1024 * 1024


class RequestError(Exception):
    """A request fails; the caller is told why, the agent goes on."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail

    def to_json(self) -> Dict[str, str]:
        return {"code": self.code, "message": str(self), "detail": self.detail}


def encode(value: Dict[str, Any]) -> bytes:
    """Return one line."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Dict[str, Any]:
    """Read one line.

    Raises:
        RequestError: It is not a JSON object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError("bad-request", "The line is not JSON.", str(error)) from error
    if not isinstance(value, dict):
        raise RequestError("bad-request", "The line is not a JSON object.")
    return value


def tail(path: str, lines: int = 50) -> str:
    """Return the last lines of a log, at most 16 KiB; empty if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 16 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def say(message: str) -> None:
    """Write a line of the agent's log, which is the log of the environment."""
    print(time.strftime("%H:%M:%S"), "dlenv-agent:", message, flush=True)
