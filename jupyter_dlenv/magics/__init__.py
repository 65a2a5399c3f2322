"""``%dlenv`` and ``%%dlenv``: environments in the cells of a notebook."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cell import Cells
    from .line import Lines

__all__ = ["load"]


def load(shell: Any) -> None:
    """Have the magics, and their completion, in an IPython shell.

    Every kernel beside jupyter_dlenv does this when it starts, so nothing is imported
    until somebody uses one.
    """
    magics = _Magics(shell)
    shell.register_magic_function(magics.line, magic_kind="line", magic_name="dlenv")
    shell.register_magic_function(magics.cell, magic_kind="cell", magic_name="dlenv")
    shell.set_hook("complete_command", magics.complete, re_key=r"%%?dlenv\b")


class _Magics:
    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def line(self, line: str) -> None:
        """Launch and use environments: %dlenv COMMAND …; %dlenv --help lists the commands."""
        self._lines.run(line)

    def cell(self, line: str, cell: str) -> None:
        """Run this cell in an environment: %%dlenv NAME [--in a,b] [--out x,y]."""
        self._cells.run(line, cell)

    def complete(self, _: Any, event: Any) -> list[str]:
        """Be the hook that IPython asks when somebody presses Tab."""
        # Imported here for the reason above.
        from .complete import completions  # noqa: PLC0415

        return completions(event.text_until_cursor)

    @cached_property
    def _cells(self) -> Cells:
        # Imported here for the reason above.
        from .cell import Cells  # noqa: PLC0415

        return Cells(self._shell)

    @cached_property
    def _lines(self) -> Lines:
        # Imported here for the reason above.
        from .line import Lines  # noqa: PLC0415

        return Lines(self._shell, self._cells)
