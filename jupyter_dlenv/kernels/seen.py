"""Which messages of a kernel a page has been given, known also after the server was killed."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .record import CHANNELS, Record

_FOLDER = "seen"
_SLOT = 128
_SIZE = _SLOT * len(CHANNELS)
_MOST_PAGES = 32


class Seen:
    """A file with the last message of each channel that one page was given.

    It is shared memory, so what was noted is true however the process ends, and noting it
    waits for nothing: a call of the system would wait for the journal of a busy disk.
    """

    def __init__(self, private_dir: Path, kernel_id: str, page: str) -> None:
        directory = private_dir / _FOLDER
        directory.mkdir(mode=0o700, exist_ok=True)
        _drop_oldest(directory, kernel_id)
        name = hashlib.sha256(page.encode()).hexdigest()[:16]
        path = directory / f"{kernel_id}.{name}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            # Kept before anything is noted: a full disk would end the process by SIGBUS.
            os.posix_fallocate(descriptor, 0, _SIZE)
            self._memory = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    def note(self, channel: str, message_id: str) -> None:
        """Note that a message was given to the page."""
        if not self._memory.closed:
            begin = CHANNELS.index(channel) * _SLOT
            self._memory[begin : begin + _SLOT] = message_id.encode()[:_SLOT].ljust(_SLOT, b"\0")

    def last(self) -> dict[str, str]:
        """Return the last message of each channel that has one."""
        return _parse(self._memory[:])

    def close(self) -> None:
        self._memory.close()


def unseen(record: Record, last: Mapping[str, str], others: list[dict[str, str]]) -> list[int]:
    """Return the positions in a record of what a page was not given.

    Args:
        last: What the page itself was given last, by channel; empty for a page that is new.
        others: The same of all other pages.  A new page gets what nobody was given.
    """
    found: list[int] = []
    for channel in CHANNELS:
        positions = [i for i, m in enumerate(record.messages) if m.channel == channel]
        ids = {record.messages[i].id: i for i in positions}
        marks = [last] if last or channel != "iopub" else others
        begin = max((ids.get(mark.get(channel, ""), -1) for mark in marks), default=-1)
        found.extend(i for i in positions if i > begin)
    return sorted(found)


def seen_by_all(private_dir: Path, kernel_id: str) -> list[dict[str, str]]:
    """Return for each page what it was given last."""
    found = []
    for path in (private_dir / _FOLDER).glob(f"{kernel_id}.*"):
        with suppress(OSError):
            found.append(_parse(path.read_bytes()))
    return [last for last in found if last]


def forget(private_dir: Path, kernel_id: str) -> None:
    """Remove what is known of a kernel that is gone."""
    for path in (private_dir / _FOLDER).glob(f"{kernel_id}.*"):
        path.unlink(missing_ok=True)


def _parse(data: bytes) -> dict[str, str]:
    last = {}
    for number, channel in enumerate(CHANNELS):
        entry = data[number * _SLOT : (number + 1) * _SLOT].rstrip(b"\0")
        if entry:
            last[channel] = entry.decode("utf-8", "replace")
    return last


def _drop_oldest(directory: Path, kernel_id: str) -> None:
    pages = sorted(directory.glob(f"{kernel_id}.*"), key=lambda path: path.stat().st_mtime)
    for path in pages[: max(0, len(pages) - _MOST_PAGES)]:
        path.unlink(missing_ok=True)
