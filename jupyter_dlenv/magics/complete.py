"""Tab in a ``%dlenv`` line: commands, options, names and images, as a shell completes them."""

from __future__ import annotations

import shlex

import click
from click.shell_completion import ShellComplete

from ..cli.commands import dlenv
from ..cli.invocation import Invocation
from .cell import cell_command


def completions(line: str) -> list[str]:
    """Return what may follow a line such as ``%dlenv show b``."""
    magic, _, rest = line.lstrip().partition(" ")
    command: click.Command = cell_command if magic.startswith("%%") else dlenv
    try:
        words = shlex.split(rest)
    except ValueError:
        return []
    incomplete = "" if not words or rest.endswith(" ") else words.pop()
    asked = ShellComplete(command, {"obj": Invocation()}, "%dlenv", "")
    found = [item.value for item in asked.get_completions(words, incomplete)]
    own = ["use"] if not magic.startswith("%%") and not words else []
    return [*found, *(word for word in own if word.startswith(incomplete))]
