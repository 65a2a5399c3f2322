"""Writing files for the user, who is asked before one that exists is replaced."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import InvalidSpecError
from .outcome import NotConfirmedError


def write(path: Path, text: str, *, yes: bool) -> None:
    """Write a text file and the directories above it.

    Args:
        yes: Do not ask.

    Raises:
        NotConfirmedError: There is such a file with another text, and the user keeps it.
    """
    try:
        if not yes and path.exists() and path.read_bytes() != text.encode():
            _confirm(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidSpecError(f"{path} cannot be written.", detail=str(error)) from error


def _confirm(path: Path) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"There is a {path}: replacing it needs --yes.")
    if not click.confirm(f"Replace {path}?", err=True):
        raise NotConfirmedError("Nothing was written.")
