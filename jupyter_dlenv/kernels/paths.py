"""Which path of the host is which path inside an environment."""

from __future__ import annotations

import posixpath

from ..models import Mount


def to_inside(path: str, mounts: tuple[Mount, ...]) -> str:
    """Return where a host's path is seen inside, or empty if no mount holds it."""
    return _translate(path, [(m.source, m.target) for m in mounts])


def to_host(path: str, mounts: tuple[Mount, ...]) -> str:
    """Return the host's path of what is seen inside, or empty if no mount holds it."""
    return _translate(path, [(m.target, m.source) for m in mounts])


def _translate(path: str, pairs: list[tuple[str, str]]) -> str:
    # Out of a mount by ``..`` is into another part of the other side.
    path = posixpath.normpath(path)
    # The innermost mount is the one that is seen.
    for before, after in sorted(pairs, key=lambda pair: len(pair[0]), reverse=True):
        if path == before:
            return after
        if path.startswith(before.rstrip("/") + "/"):
            return after.rstrip("/") + path[len(before.rstrip("/")) :]
    return ""
