"""``%dlenv`` and ``%%dlenv``: environments in the cells of a notebook."""

from __future__ import annotations

from typing import Any

__all__ = ["load"]


def load(shell: Any) -> None:
    """Have the magics, and their completion, in an IPython shell."""
    # Imported here: what only asks for the package's name must not wait for it.
    from .cell import Cells  # noqa: PLC0415
    from .complete import complete  # noqa: PLC0415
    from .line import Lines  # noqa: PLC0415

    cells = Cells(shell)
    lines = Lines(shell, cells)
    shell.register_magic_function(lines.run, magic_kind="line", magic_name="dlenv")
    shell.register_magic_function(cells.run, magic_kind="cell", magic_name="dlenv")
    shell.set_hook("complete_command", complete, re_key=r"%%?dlenv\b")
