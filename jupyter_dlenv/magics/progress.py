"""How far a launch is, in one output of a notebook that is updated in place."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ..cli.text import clean, clock, size, took
from ..models import Phase, Progress

#: Pages redraw on each update.
_INTERVAL = 0.25


class NotebookDisplay:
    """A line for each phase of a launch, and how much of a download is there."""

    def __init__(
        self, names: Mapping[Phase, str], *, quiet: bool = False, cancelling: str = ""
    ) -> None:
        self._names = names
        self._quiet = quiet
        self._cancel_words = cancelling
        self._handle: Any = None
        self._lock = threading.Lock()
        self._done: list[str] = []
        self._phase: Phase | None = None
        self._began = self._shown = time.monotonic()
        self._progress = Progress(phase=Phase.QUEUED)
        self._cancelling = False

    def __enter__(self) -> NotebookDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave("✗" if error is not None else "✓")
        self._show()

    def report(self, progress: Progress) -> None:
        """Show one report, unless the one before was shown a moment ago."""
        self._progress = progress
        now = time.monotonic()
        if progress.phase is not self._phase:
            self._leave("✓")
            self._phase, self._began = progress.phase, now
        elif now - self._shown < _INTERVAL:
            return
        self._shown = now
        self._show()

    def interrupted(self) -> None:
        """Say that the launch is being cancelled."""
        self._cancelling = True
        self._show()

    def _leave(self, mark: str) -> None:
        if self._phase is not None and self._phase in self._names:
            seconds = took(time.monotonic() - self._began)
            self._done.append(f"{mark} {self._names[self._phase]} ({seconds})")
        self._phase = None

    def _show(self) -> None:
        if self._quiet:
            return
        # Imported here: the command line has no need of it.
        from IPython.display import display  # noqa: PLC0415

        with self._lock:
            text = "\n".join([*self._done, *self._now()])
            data = {"text/plain": text, "text/html": _page(text, self._share())}
            if self._handle is None:
                self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
            else:
                self._handle.update(data, raw=True)

    def _now(self) -> list[str]:
        if self._cancelling:
            return [f"Cancelling: {self._cancel_words} …"]
        if self._phase is None or self._phase not in self._names:
            return []
        progress = self._progress
        line = f"… {self._names[self._phase]}"
        if progress.layers and progress.total:
            line += f"  {size(progress.current)} of {size(progress.total)}"
            seconds = time.monotonic() - self._began
            if progress.current and seconds > 1:
                speed = progress.current / seconds
                left = clock((progress.total - progress.current) / speed)
                line += f", {size(speed)}/s, {left} left"
        log = [clean(x.rpartition("\r")[2]) for x in progress.log.splitlines() if x.strip()][-3:]
        return [line, *(f"    {x}" for x in log)]

    def _share(self) -> float | None:
        progress = self._progress
        running = self._phase is not None and progress.total > 0
        return progress.current / progress.total if running else None


def _page(text: str, share: float | None) -> str:
    bar = (
        ""
        if share is None
        else f'<progress max="1" value="{share:.3f}" style="width: 30em"></progress>'
    )
    return f'<pre style="margin: 0">{html.escape(text)}</pre>{bar}'
