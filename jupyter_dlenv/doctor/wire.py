"""Frozen values of plain parts as JSON, and back from what a stranger may have changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InvalidSpecError


def write_value(value: Any) -> Any:
    """Return a value as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: write_value(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [write_value(v) for v in value]
    return value


def read_value(kind: Any, value: Any, where: str) -> Any:
    """Return a value of a type out of JSON.

    Args:
        kind: A dataclass, ``str``, ``int``, ``float``, ``bool``, ``tuple[X, ...]``,
            ``Mapping[str, str]``, or one of them ``| None``.
        where: What the value is called, for the error.

    Raises:
        InvalidSpecError: It is of another type.
    """
    if get_origin(kind) is UnionType:
        inner = next(k for k in get_args(kind) if k is not type(None))
        return None if value is None else read_value(inner, value, where)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _odd(where)
        inner = get_args(kind)[0]
        return tuple(read_value(inner, v, f"{where}[{i}]") for i, v in enumerate(value))
    if get_origin(kind) is Mapping:
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise _odd(where)
        return dict(value)
    # To Python, but not to JSON, true is a number; and 1 is a float to JSON.
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise _odd(where)
    return value


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _odd(where)
    hints = get_type_hints(kind)
    known = {k: read_value(hints[k], v, f"{where}.{k}") for k, v in value.items() if k in hints}
    try:
        return kind(**known)
    except TypeError as error:
        raise InvalidSpecError(f"{where} lacks something.", detail=str(error)) from error


def _odd(where: str) -> InvalidSpecError:
    return InvalidSpecError(f"{where} has a value of the wrong type.")
