"""From what was typed to the values that the models check: mounts, variables, names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..access.public_keys import public_key
from ..errors import InvalidSpecError
from ..models import Mount
from ..naming import name_for
from .completion import complete_name

__all__ = ["mount", "name_argument", "name_for", "names_argument", "public_keys", "variables"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def mount(text: str) -> Mount:
    """Read ``SRC:DST[:ro]``; a source may be relative or begin with ``~``."""
    source, colon, rest = text.partition(":")
    if not source:
        raise InvalidSpecError(
            f"{text!r} is not a mount.", hint="Write it as SRC:DST or SRC:DST:ro."
        )
    absolute = os.path.abspath(Path(source).expanduser())  # noqa: PTH100 keep links as typed
    return Mount.parse(f"{absolute}{colon}{rest}")


def variables(texts: Iterable[str]) -> dict[str, str]:
    """Read ``K=V``; a bare ``K`` takes the caller's own value."""
    result = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            try:
                value = os.environ[key]
            except KeyError:
                raise InvalidSpecError(
                    f"The variable {key!r} is not set here, so it cannot be passed on.",
                    hint="Write it as K=V, or set it first.",
                ) from None
        result[key] = value
    return result


def public_keys(texts: Iterable[str]) -> tuple[str, ...]:
    """Read public keys: pasted ones, files of some, and ``-`` for the standard input."""
    return tuple(public_key(key) for text in texts for key in _keys(text))


def _keys(text: str) -> list[str]:
    if text.startswith(("ssh-", "ecdsa-", "sk-")) and " " in text:
        return [text]
    try:
        read = sys.stdin.read() if text == "-" else Path(text).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpecError(
            f"{text!r} is neither a public key nor a file of one.", detail=str(error)
        ) from error
    keys = [line for line in read.splitlines() if line.strip() and not line.startswith("#")]
    if not keys:
        raise InvalidSpecError(f"There is no public key in {text!r}.")
    return keys


def name_argument(command: _Command) -> _Command:
    """Give a command the argument NAME, which a shell completes."""
    return click.argument("name", shell_complete=complete_name)(command)


def names_argument(command: _Command) -> _Command:
    """Give a command one or more NAMEs."""
    return click.argument(
        "names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_name
    )(command)
