"""What a pull or a build looks like: layers, total, speed, time left, and the end of a log."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..models import LayerProgress, Phase, Progress
from .text import clean, clock, size

LAYERS_SHOWN = 8
LOG_LINES_SHOWN = 6
_DONE = ("Pull complete", "Already exists")
_WAITING = ("Waiting", "Pulling fs layer")


class Transfer:
    """The reports of one phase, as a renderable of steady width."""

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._log: deque[str] = deque([""], maxlen=200)

    def add(self, progress: Progress) -> None:
        self._last = progress
        *ended, rest = progress.log.split("\n")
        for line in ended:
            self._log[-1] += line
            self._log.append("")
        # Progress bars of pip overwrite their line.
        self._log[-1] = (self._log[-1] + rest).rpartition("\r")[2]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if self._last is None:
            return
        if self._last.layers:
            yield from _layers(self._last.layers)
        if _counts_bytes(self._last):
            yield self._total(self._last)
            yield self._pace(self._last)
            # Why nothing comes, or that it is tried again.
            yield Text(f"  {clean(self._last.message)}", style="dim", overflow="fold")
        elif self._last.total:
            yield _steps(clean(self._last.message), self._last.current, self._last.total)
        elif self._last.phase is Phase.WAITING:
            yield Text(f"  {clean(self._last.message)}", style="dim")
        lines = [clean(x.rpartition("\r")[2].rstrip()) for x in self._log]
        for line in [x for x in lines if x.strip()][-LOG_LINES_SHOWN:]:
            yield Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis")

    def _total(self, progress: Progress) -> RenderableType:
        return _bar("total", "", progress.current, progress.total)

    def _pace(self, progress: Progress) -> RenderableType:
        words = [f"{size(progress.speed)}/s"] if progress.speed else []
        if progress.seconds_left and progress.seconds_left >= 1:
            words.append(f"{clock(progress.seconds_left)} left")
        return Text("  ".join(words), style="dim", justify="right", no_wrap=True)


def _layers(layers: tuple[LayerProgress, ...]) -> Iterator[RenderableType]:
    active = [x for x in layers if not x.state.startswith((*_DONE, *_WAITING))]
    waiting = [x for x in layers if x.state.startswith(_WAITING)]
    shown = (active + waiting)[:LAYERS_SHOWN]
    for layer in shown:
        yield _bar(layer.id, layer.state, layer.current, layer.total)
    kinds = Counter(_kind(x) for x in layers if x not in shown)
    if kinds:
        counts = ", ".join(f"{kinds[k]} {k}" for k in ("done", "waiting", "under way") if kinds[k])
        yield Text(f"  {kinds.total()} more: {counts}", style="dim")


def _kind(layer: LayerProgress) -> str:
    if layer.state.startswith(_DONE):
        return "done"
    return "waiting" if layer.state.startswith(_WAITING) else "under way"


def _bar(name: str, state: str, current: int, total: int) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(width=12, no_wrap=True, overflow="crop")
    row.add_column(width=18, no_wrap=True, overflow="crop", style="dim")
    row.add_column(ratio=1)
    row.add_column(width=19, justify="right", no_wrap=True)
    amount = f"{size(current)} / {size(total)}" if total else ""
    # Without a size there is nothing to draw yet, but the line keeps its place.
    bar = ProgressBar(total=total, completed=current) if total else Text("")
    row.add_row("", clean(name), clean(state), bar, amount)
    return row


def _steps(message: str, current: int, total: int) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    row.add_column(ratio=1)
    row.add_column(width=8, justify="right", no_wrap=True)
    bar = ProgressBar(total=total, completed=current)
    row.add_row("", Text(message), bar, f"{current}/{total}")
    return row


def _counts_bytes(progress: Progress) -> bool:
    """Tell whether a report counts bytes: those of a build count steps."""
    return progress.total > 0 and progress.total == sum(x.total for x in progress.layers)
