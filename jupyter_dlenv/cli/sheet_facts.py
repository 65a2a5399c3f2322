"""What is known of an image before it is fetched, as labelled lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .text import size

if TYPE_CHECKING:
    from ..images.sheet import Sheet


def sheet_facts(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """Yield ``("download", "8.1 GB")`` and the like."""
    if sheet.here:
        yield "on engine", "an older one of this tag" if sheet.outdated else "yes"
    if sheet.download:
        shared = (sheet.whole or 0) - sheet.download
        saved = f" of {size(sheet.whole)}; the rest is here" if shared and sheet.whole else ""
        yield "download", f"{size(sheet.download)}{saved}"
    elif sheet.download is None:
        yield "download", "not known"
    if sheet.needs_disk:
        left = "not known" if sheet.free_disk is None else size(sheet.free_disk)
        yield "disk", f"about {size(sheet.needs_disk)} while it is unpacked; free: {left}"
    if sheet.needs.architectures:
        yield "processor", ", ".join(sheet.needs.architectures)
    if sheet.needs.driver:
        have = f"; here is {sheet.host.driver}" if sheet.host.driver else ""
        yield "driver", f"built for {sheet.needs.driver}{have}"
    if sheet.needs.capabilities:
        yield "GPUs", f"compute capability {', '.join(sheet.needs.capabilities)}"
    if sheet.notes:
        yield "note", sheet.notes
    if sheet.licence:
        yield "licence", sheet.licence
    if sheet.problem:
        yield "registry", sheet.problem
