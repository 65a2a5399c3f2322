"""What a launch will do, as the page says it: of the image, of the GPUs, and as commands."""

from __future__ import annotations

import html
from collections.abc import Iterator

from ..cli.sheet_facts import sheet_facts
from ..images.fit import Weight
from ..images.sheet import Sheet
from .table import labelled

_SIGNS = {Weight.ERROR: "✗ ", Weight.WARNING: "! ", Weight.INFO: ""}


def outlook(sheet: Sheet) -> str:
    """Return what is known of an image before it is fetched, as HTML."""
    return labelled(_rows(sheet))


def commands(line: str) -> str:
    """Return the commands that do what the form does, as HTML."""
    both = html.escape(f"jupyter dlenv {line}\n%dlenv {line}")
    return f"<pre>{both}</pre>"


def _rows(sheet: Sheet) -> Iterator[tuple[str, str]]:
    yield "image", sheet.image
    yield from sheet_facts(sheet)
    for remark in sheet.remarks:
        yield remark.weight.value, f"{_SIGNS[remark.weight]}{remark.text}"
    if sheet.suggestion:
        yield "instead", f"{sheet.suggestion} is the newest without that"
