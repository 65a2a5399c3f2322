"""``%dlenv COMMAND``: the command line in a notebook, with the same commands and options."""

from __future__ import annotations

import contextvars
import html
import shlex
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from ..cli import display, table
from ..cli.commands import dlenv
from ..cli.interrupts import INTERRUPTER, Interrupter
from ..cli.invocation import Invocation
from .cell import Cells
from .progress import NotebookDisplay
from .sentences import sentences

_ENDING = frozenset({"stop", "restart", "remove"})


class Lines:
    """The ``%dlenv`` lines of one notebook."""

    def __init__(self, shell: Any, cells: Cells) -> None:
        self._shell = shell
        self._cells = cells

    def run(self, line: str) -> None:
        """Launch and use environments: %dlenv COMMAND …; %dlenv --help lists the commands."""
        words = shlex.split(line)
        with sentences():
            if not words:
                self._show_widget()
            elif words[0] == "use":
                self._use(words[1:])
            else:
                if words[0] in _ENDING:
                    for name in words[1:]:
                        self._cells.forget(name)
                self._command(words)

    def _command(self, words: Sequence[str]) -> None:
        """Run a command in a thread: in a notebook's own, an event loop runs already."""
        interrupter = Interrupter()
        done: Future[None] = Future()
        # What it prints belongs to this cell.
        context = contextvars.copy_context()
        context.run(INTERRUPTER.set, interrupter)
        context.run(display.ELSEWHERE.set, NotebookDisplay)
        context.run(table.ELSEWHERE.set, self._show_table)

        def work() -> None:
            try:
                dlenv.main(list(words), "%dlenv", standalone_mode=False, obj=Invocation())
            except BaseException as error:  # noqa: BLE001 raised again in the cell
                done.set_exception(error)
            else:
                done.set_result(None)

        threading.Thread(target=context.run, args=(work,), daemon=True).start()
        try:
            done.result()
        except KeyboardInterrupt:
            if done.done():
                raise
            interrupter.interrupt()
            # What was made is removed first; a second Ctrl-C does not wait.
            done.result()

    def _show_table(self, columns: tuple[str, ...], rows: list[tuple[str, ...]], text: str) -> None:
        head = _row("th", columns)
        body = "".join(_row("td", row) for row in rows)
        page = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
        data = {"text/plain": text, "text/html": page}
        self._shell.display_pub.publish(data=data, metadata={})

    def _show_widget(self) -> None:
        # Imported here: only this needs ipywidgets.
        from IPython.display import display as show  # noqa: PLC0415

        from ..widgets import EnvironmentLauncher  # noqa: PLC0415

        show(EnvironmentLauncher())  # type: ignore[no-untyped-call]

    def _use(self, words: Sequence[str]) -> None:
        # Imported here: hardly any line needs it.
        from .use import use_command  # noqa: PLC0415

        given = use_command.main(list(words), standalone_mode=False, obj=Invocation())
        if callable(given):
            given(self._shell)
        sys.stdout.flush()


def _row(tag: str, texts: Iterable[str]) -> str:
    inner = "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
    return f"<tr>{inner}</tr>"
