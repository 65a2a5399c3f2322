"""The command line: `jupyter dlenv`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from ..errors import DlenvError
from .commands import dlenv
from .completion import COMPLETE_VARIABLE, answer_shell
from .invocation import Invocation
from .outcome import Interrupted, exit_code, print_error, unexpected

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if COMPLETE_VARIABLE in os.environ:
        answer_shell(dlenv)
    words = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation()
    try:
        result = dlenv.main(words, "jupyter dlenv", standalone_mode=False, obj=invocation)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return exit_code(error)
    except BrokenPipeError as error:
        # Python would complain about it once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_code(error)
    except (DlenvError, click.ClickException, click.Abort, Interrupted) as error:
        return _fail(error, invocation, words)
    except Exception as error:  # noqa: BLE001 the edge of the program
        return _fail(unexpected(error), invocation, words)
    return result if isinstance(result, int) else 0


def _fail(error: BaseException, invocation: Invocation, words: list[str]) -> int:
    # A usage error may have come before click saw --json.
    as_json = invocation.json or "--json" in words[: (*words, "--").index("--")]
    print_error(error, as_json=as_json)
    return exit_code(error)
