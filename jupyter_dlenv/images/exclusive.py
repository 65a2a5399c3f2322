"""How launches that need the same image, in one process or several, agree who does the work."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

_POLL_SECONDS = 0.1


@asynccontextmanager
async def exclusive(
    lock: Path, *, waiting: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Hold a lock; it is freed at the end, also by the death of the process.

    Whoever holds it does work that has an end of its own, so the wait has one too.

    Args:
        waiting: Called once, if somebody else has the lock.
    """
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Each open file is its own holder, so two tasks of one process exclude each other too.
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(file):
            waiting()
            while not _taken(file):  # noqa: ASYNC110 (another process cannot set an Event)
                await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        # The file stays: removed, it could be locked by one and made anew by another.
        os.close(file)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that whoever reads it sees all of it, or the one before."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
    ) as file:
        try:
            file.write(text)
            file.close()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some network file systems have no locks; then the work may be done twice.
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return True
