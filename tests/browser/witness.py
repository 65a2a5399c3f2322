"""What a page asked for and said, to be read where a test failed for no reason of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, Request

_LINES = 40


class Witness:
    """Watches a page from its opening on."""

    def __init__(self, page: Page) -> None:
        self._waiting: dict[Request, float] = {}
        self._said: deque[str] = deque(maxlen=_LINES)
        page.on("request", lambda request: self._waiting.update({request: time.monotonic()}))
        page.on("requestfinished", lambda request: self._waiting.pop(request, None))
        page.on("requestfailed", self._failed)
        page.on("console", lambda message: self._said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self._said.append(f"error: {error.stack or error}"))
        page.on("crash", lambda _: self._said.append("The page has crashed."))

    def report(self, server_log: Path | None) -> Iterator[tuple[str, str]]:
        """Yield the parts of a report: what they are called, and their text."""
        now = time.monotonic()
        unanswered = [
            f"{now - asked:.1f} s {request.method} {request.url}"
            for request, asked in self._waiting.items()
        ]
        yield "requests of the page without an answer", "\n".join(unanswered[-_LINES:])
        yield "console of the page", "\n".join(self._said)
        if server_log is not None:
            lines = server_log.read_text(errors="replace").splitlines()
            yield "log of the server", "\n".join(lines[-_LINES:])

    def _failed(self, request: Request) -> None:
        self._waiting.pop(request, None)
        self._said.append(f"{request.failure}: {request.method} {request.url}")
