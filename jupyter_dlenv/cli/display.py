"""How far a launch is: live on a terminal, one line per phase in a log, or silent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..models import Phase, Progress
from .text import clean, took
from .transfer import Transfer

#: What is done when a launch is cancelled.
CANCELLING = "removing what the launch has made"


class Display(Protocol):
    """Where a launch reports to, while it is entered."""

    def __enter__(self) -> Display: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def report(self, progress: Progress) -> None:
        """Show one report."""

    def interrupted(self) -> None:
        """Say that the launch is being cancelled."""


def titles(image: str, *, built: bool) -> Mapping[Phase, str]:
    """Return what each phase of a launch is called."""
    return {
        Phase.QUEUED: "Checking the request",
        Phase.PULLING: f"{'Building from' if built else 'Getting the image'} {clean(image)}",
        Phase.PREPARING: "Preparing the image",
        Phase.WAITING: "Waiting in line for GPUs",
        Phase.CREATING: "Creating the environment",
        Phase.STARTING: "Starting the environment",
    }


class OpenDisplay(Protocol):
    """Opens a display; ``open_display`` says what the arguments are."""

    def __call__(self, names: Mapping[Phase, str], *, quiet: bool, cancelling: str) -> Display: ...


#: Opens displays where there is no terminal; see the magics.
ELSEWHERE: ContextVar[OpenDisplay | None] = ContextVar("ELSEWHERE", default=None)


def open_display(
    names: Mapping[Phase, str], *, quiet: bool, cancelling: str = CANCELLING
) -> Display:
    """Return the display that fits stderr.

    Args:
        cancelling: What is done when the work is cancelled.
    """
    if quiet:
        return _Silent()
    elsewhere = ELSEWHERE.get()
    if elsewhere is not None:
        return elsewhere(names, quiet=quiet, cancelling=cancelling)
    console = Console(stderr=True, highlight=False)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        return LiveDisplay(names, console, cancelling=cancelling)
    return LineDisplay(
        names,
        lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
        cancelling=cancelling,
    )


def spinner(doing: str) -> AbstractContextManager[object]:
    """Show on stderr that something without measurable progress is under way."""
    console = Console(stderr=True, highlight=False)
    return console.status(Text(f"{doing} …"), spinner=_spinner_for(console))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal; cells that are too wide are folded, never cut."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        # The first is the name, which users copy; the second is short in all our tables.
        table.add_column(column, overflow="fold", no_wrap=number < 2, header_style="dim")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


class LineDisplay:
    """Says each phase once, and each place in line."""

    def __init__(
        self,
        names: Mapping[Phase, str],
        say: Callable[[str], None],
        *,
        cancelling: str = CANCELLING,
    ) -> None:
        self._names = names
        self._say = say
        self._cancelling = cancelling
        self._phase: Phase | None = None
        self._warned: set[str] = set()
        self._place = ""

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def report(self, progress: Progress) -> None:
        if progress.phase is Phase.WAITING:
            self._phase = progress.phase
            if progress.message != self._place:
                self._place = progress.message
                self._say(f"{clean(progress.message)} …")
        elif progress.phase is not self._phase and progress.phase in self._names:
            self._phase = progress.phase
            self._say(f"{self._names[progress.phase]} …")
        for warning in progress.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self._say(f"Warning: {clean(warning)}")

    def interrupted(self) -> None:
        self._say(f"Cancelling: {self._cancelling} …")


class LiveDisplay:
    """Redraws the phase under way in place, and leaves one line for each that is done."""

    def __init__(
        self,
        names: Mapping[Phase, str],
        console: Console,
        *,
        now: Callable[[], float] = time.monotonic,
        cancelling: str = CANCELLING,
    ) -> None:
        self._names = names
        self._console = console
        self._cancellation = cancelling
        self._warned: set[str] = set()
        self._now = now
        self._phase: Phase | None = None
        self._began = now()
        self._transfer = Transfer()
        self._cancelling = False
        self._spinner = Spinner(_spinner_for(console), style="cyan")
        self._live = Live(
            console=console,
            get_renderable=self._render,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,
        )

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(failed=error is not None)
        self._live.stop()

    def report(self, progress: Progress) -> None:
        if progress.phase is not self._phase:
            self._leave(failed=False)
            self._phase = progress.phase
            self._began = self._now()
            self._transfer = Transfer()
        self._transfer.add(progress)
        for warning in progress.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self._console.print(Text(f"  Warning: {clean(warning)}", style="yellow"))

    def interrupted(self) -> None:
        self._cancelling = True
        self._live.refresh()

    def _leave(self, *, failed: bool) -> None:
        """Replace the phase that ended by one line."""
        if self._phase is None or self._phase not in self._names:
            return
        title = self._names[self._phase]
        # First, or the live part would show it once more below its own end.
        self._phase = None
        self._live.refresh()
        good, bad = ("✓", "✗") if _is_unicode(self._console) else ("*", "!")
        mark = Text(bad, style="red") if failed else Text(good, style="green")
        self._console.print(self._line(mark, title))

    def _line(self, mark: RenderableType, title: str) -> RenderableType:
        line = Table.grid(expand=True, padding=(0, 1, 0, 0))
        line.add_column(width=1)
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        line.add_column(justify="right", width=8)
        line.add_row(mark, Text(title), Text(took(self._now() - self._began), style="dim"))
        return line

    def _render(self) -> RenderableType:
        if self._phase is None or self._phase not in self._names:
            return Text("")
        parts = [self._line(self._spinner, self._names[self._phase])]
        if self._cancelling:
            parts.append(Text(f"  Cancelling: {self._cancellation}."))
            later = "; `list` removes the rest later" * (self._cancellation == CANCELLING)
            parts.append(Text(f"  Ctrl-C again leaves at once{later}."))
        else:
            parts.append(self._transfer)
        return Group(*parts)


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def report(self, progress: Progress) -> None:
        pass

    def interrupted(self) -> None:
        pass


def _is_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _spinner_for(console: Console) -> str:
    # A terminal that cannot show braille would show question marks.
    return "dots" if _is_unicode(console) and os.name == "posix" else "line"
