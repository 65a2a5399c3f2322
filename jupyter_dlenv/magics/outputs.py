"""What a cell puts out elsewhere, put out here in the same way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any


class OutputsOfACell:
    """Shows the messages of another kernel as outputs of the cell that runs.

    Attributes:
        traceback: That of the error with which the cell ended, if it did.
    """

    def __init__(self, shell: Any) -> None:
        self.traceback: list[str] = []
        self._publisher = shell.display_pub
        self._deals: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "stream": self._stream,
            "display_data": self._display,
            "execute_result": self._display,
            "update_display_data": self._update,
            "clear_output": self._clear,
            "error": self._error,
        }

    def hear(self, message: Mapping[str, Any]) -> None:
        """Show a message."""
        deal = self._deals.get(message["msg_type"])
        if deal is not None:
            deal(message["content"])

    def _stream(self, content: Mapping[str, Any]) -> None:
        stream = sys.stderr if content["name"] == "stderr" else sys.stdout
        stream.write(content["text"])
        stream.flush()

    def _display(self, content: Mapping[str, Any], *, update: bool = False) -> None:
        self._publisher.publish(
            data=dict(content["data"]),
            metadata=dict(content["metadata"]),
            transient=dict(content.get("transient") or {}),
            update=update,
        )

    def _update(self, content: Mapping[str, Any]) -> None:
        self._display(content, update=True)

    def _clear(self, content: Mapping[str, Any]) -> None:
        self._publisher.clear_output(wait=bool(content.get("wait")))

    def _error(self, content: Mapping[str, Any]) -> None:
        self.traceback = [str(line) for line in content["traceback"]]
