"""Errors in a notebook: a sentence and what to try, or the traceback that an environment had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from ..cli.outcome import Interrupted, describe
from ..cli.text import clean
from ..errors import CellFailedError, DlenvError


@contextmanager
def sentences() -> Iterator[None]:
    """Let no traceback of ours into a notebook: it would say nothing to its reader."""
    try:
        yield
    except CellFailedError as error:
        show_as(error, error.traceback)
        raise
    except Interrupted as error:
        interrupt = KeyboardInterrupt()
        show_as(interrupt, ["Interrupted."])
        raise interrupt from error
    except (DlenvError, click.ClickException, click.Abort) as error:
        told = describe(error)
        lines = [told["message"], told["hint"], *told["detail"].splitlines()]
        show_as(error, [clean(line) for line in lines if line])
        raise


def show_as(error: BaseException, lines: Sequence[str]) -> None:
    """Have IPython show these lines for an error, instead of its traceback."""
    error._render_traceback_ = lambda: list(lines)  # type: ignore[attr-defined]
