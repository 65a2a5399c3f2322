"""A table, for a terminal or for a pipe."""

from __future__ import annotations

import sys

import click

from .text import clean


def print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows below the names of their columns."""
    cleaned = [tuple(clean(cell) for cell in row) for row in rows]
    if sys.stdout.isatty():
        # Imported here: rich is large, and a pipe has no need of it.
        from .display import print_table as print_rich  # noqa: PLC0415

        print_rich(columns, cleaned)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cleaned, strict=True)]
    for row in (columns, *cleaned):
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())
