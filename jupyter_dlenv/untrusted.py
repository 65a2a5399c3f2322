"""Values out of JSON that a stranger may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidSpecError


def typed(data: Mapping[str, Any], key: str, kind: Any, default: Any) -> Any:
    """Return the value of a key, or raise ``InvalidSpecError`` if it is of another type."""
    value = data.get(key, default)
    # bool is an int to Python, but not to a user who wrote ``"gpus": true``.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidSpecError(f"{key} has a value of the wrong type: {value!r}.")
    return value


def flag(data: Mapping[str, Any], key: str) -> bool:
    """Return true or false, by default false, or raise ``InvalidSpecError``."""
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise InvalidSpecError(f"{key} is true or false.")
    return value


def optional_number(data: Mapping[str, Any], key: str) -> float | None:
    """Return a number or nothing, or raise ``InvalidSpecError``."""
    if data.get(key) is None:
        return None
    return typed(data, key, (int, float), 0)  # type: ignore[no-any-return]


def strings(data: Mapping[str, Any], key: str) -> list[str]:
    """Return a list of strings, or raise ``InvalidSpecError``."""
    value = data.get(key, ())
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise InvalidSpecError(f"{key} is a list of strings.")
    return list(value)


def string_map(data: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return a mapping of strings, or raise ``InvalidSpecError``."""
    value = data.get(key, {})
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    ):
        raise InvalidSpecError(f"{key} maps names to strings.")
    return dict(value)
