"""Labelled lines as HTML that reads the same in every notebook, whatever is in them."""

from __future__ import annotations

import html
from collections.abc import Iterable

_STYLE = "text-align: left; vertical-align: top; padding: 1px 1em 1px 0; line-height: 1.4"


def labelled(rows: Iterable[tuple[str, str]], *, code: bool = False) -> str:
    """Return a table with a label in front of each line.

    Args:
        code: The lines are something to copy.
    """
    begin, end = ("<code>", "</code>") if code else ("", "")
    lines = (
        f"<tr><th style='{_STYLE}; font-weight: 500'>{html.escape(label)}</th>"
        f"<td style='{_STYLE}'>{begin}{html.escape(text)}{end}</td></tr>"
        for label, text in rows
    )
    return f"<table>{''.join(lines)}</table>"
