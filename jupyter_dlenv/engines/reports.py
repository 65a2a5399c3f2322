"""How often a transfer reports: ten times a second at most, and nothing is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import TracebackType

from .base import ReportTransfer, TransferProgress

_SECONDS = 0.1


class Reports:
    """Passes reports on, the newest of each tenth of a second; the last one always.

    The log of those that are left out is kept for the next.
    """

    def __init__(self, receiver: ReportTransfer) -> None:
        self._receiver = receiver
        self._pending: TransferProgress | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Reports:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pending is not None:
            self._receiver(self._pending)
            self._pending = None

    def add(self, report: TransferProgress) -> None:
        if self._pending is not None:
            report = replace(report, log=self._pending.log + report.log)
        self._pending = report
        if self._timer is None:
            self._pass_on()

    def _pass_on(self) -> None:
        self._timer = None
        if self._pending is not None:
            report, self._pending = self._pending, None
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._pass_on)
            self._receiver(report)
