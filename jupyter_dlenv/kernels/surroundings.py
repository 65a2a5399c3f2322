"""What of the world around a client is told to its kernel: few variables, and where to start."""

from __future__ import annotations

from collections.abc import Mapping

from ..models import Environment
from .paths import to_inside

#: A client's environment is full of secrets, and of paths that mean nothing inside.
_PASSED_ON = ("LANG", "TERM", "TZ", "JPY_SESSION_NAME")
_PASSED_ON_PREFIXES = ("KERNEL_", "LC_")


def variables(given: Mapping[str, str], environment: Environment) -> dict[str, str]:
    """Return the variables that a kernel gets of those that its client has."""
    passed = passed_on(given)
    notebook = passed.get("JPY_SESSION_NAME", "")
    if notebook:
        inside = to_inside(notebook, environment.spec.mounts)
        passed["JPY_SESSION_NAME"] = inside or notebook
    return passed


def directory(cwd: str, environment: Environment) -> str:
    """Return where a kernel starts that a client in ``cwd`` asks for."""
    inside = to_inside(cwd, environment.spec.mounts) if cwd else ""
    return inside or environment.spec.workdir or environment.home


def passed_on(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may be passed on, as the client has them."""
    return {
        key: value
        for key, value in given.items()
        if key in _PASSED_ON or key.startswith(_PASSED_ON_PREFIXES)
    }
