"""A table, for a terminal, for a pipe, or for a page."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar

import click

from .text import clean

_Rows = list[tuple[str, ...]]

#: Shows tables where there is no terminal: is given columns, rows, and the table as text.
ELSEWHERE: ContextVar[Callable[[tuple[str, ...], _Rows, str], None] | None] = ContextVar(
    "ELSEWHERE", default=None
)


def print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows below the names of their columns."""
    cleaned = [tuple(clean(cell) for cell in row) for row in rows]
    elsewhere = ELSEWHERE.get()
    if elsewhere is None and sys.stdout.isatty():
        # Imported here: rich is large, and a pipe has no need of it.
        from .display import print_table as print_rich  # noqa: PLC0415

        print_rich(columns, cleaned)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cleaned, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (columns, *cleaned)]
    if elsewhere is None:
        click.echo("\n".join(lines))
    else:
        elsewhere(columns, cleaned, "\n".join(lines))
