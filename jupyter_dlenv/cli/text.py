"""Words and numbers as people read them, and foreign text made harmless for a terminal."""

from __future__ import annotations

import re
from datetime import datetime, timezone

# Escape sequences first, then what is left of control characters; \n and \t may stay.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: window titles, links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def clean(text: str) -> str:
    """Return text without anything that a terminal would obey.

    Labels, image names and an engine's words come from elsewhere.
    """
    return _CONTROL.sub("", text)


def size(count: float) -> str:
    """Return ``8.1 GB``; decimal units, as ``docker images`` and disk makers use them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def clock(seconds: float) -> str:
    """Return ``1:48`` or ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def took(seconds: float) -> str:
    """Return ``4.2 s``, and ``1:48`` from a minute on."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def since(moment: str, *, now: datetime | None = None) -> str:
    """Return how long ago an ISO 8601 moment was, such as ``3 min``; empty if it is none."""
    try:
        then = datetime.fromisoformat(_python_3_10(moment))
    except ValueError:
        return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=timezone.utc)
    return lasting(max(0.0, ((now or datetime.now(timezone.utc)) - then).total_seconds()))


def lasting(seconds: float) -> str:
    """Return seconds as ``12 s``, ``3 min``, ``5 h`` or ``2 days``."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length * (2 if unit == "days" else 1):
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def _python_3_10(moment: str) -> str:
    """Return an ISO 8601 moment in the few forms that Python 3.10 reads."""
    match = re.match(r"([^.Zz]*?)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?\Z", moment)
    if match is None:
        return moment
    zone = match[3] or ""
    fraction = f".{(match[2] + '000000')[:6]}" if match[2] else ""
    return match[1] + fraction + ("+00:00" if zone in "Zz" and zone else zone)
