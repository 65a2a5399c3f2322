"""Reads what a kernel has kept of what it said; the other side is ``agent/record.py``."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from ..errors import AgentUnreachableError

CHANNELS = ("shell", "iopub", "stdin", "control")
#: A kernel keeps no more, and what comes from a container is never believed.
_MOST_MESSAGES = 100_000
_LARGEST_FRAME = 64 * 1024 * 1024
_STATES = frozenset({"idle", "busy", "starting"})


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was sent: identities or topic first."""

    channel: str
    frames: tuple[bytes, ...]

    @property
    def id(self) -> str:
        """Return its own id, or empty."""
        return message_id(self.frames)

    def is_for(self, identity: bytes) -> bool:
        """Tell whether a client with this identity was to get it."""
        return self.channel == "iopub" or self.frames[0] == identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a kernel has kept, oldest first.

    Attributes:
        state: Of the kernel: ``idle`` or ``busy``.
        dropped: How many older messages it had no room for.
    """

    state: str
    dropped: int
    messages: tuple[Message, ...]


def message_id(frames: tuple[bytes, ...] | list[bytes]) -> str:
    """Return the id of a message on the wire, or empty."""
    try:
        header = json.loads(frames[frames.index(b"<IDS|MSG>") + 2])
        return str(header["msg_id"])
    except (ValueError, IndexError, KeyError, TypeError):
        return ""


async def fetch(path: Path, *, timeout: float = 10.0) -> Record:
    """Return what the kernel whose record is at a unix socket has kept.

    Raises:
        AgentUnreachableError: It does not answer, perhaps because C code does not let it.
    """
    try:
        return await asyncio.wait_for(_fetch(path), timeout)
    except (OSError, asyncio.TimeoutError, EOFError, ValueError, struct.error) as error:
        raise AgentUnreachableError(
            "The kernel does not say what it printed meanwhile.", detail=repr(error)
        ) from error


async def _fetch(path: Path) -> Record:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
    try:
        facts = json.loads(await reader.readline())
        messages = []
        for _ in range(min(int(facts["messages"]), _MOST_MESSAGES)):
            channel, count = struct.unpack("!BI", await reader.readexactly(5))
            frames = [await _frame(reader) for _ in range(min(count, 1000))]
            messages.append(Message(CHANNELS[channel % len(CHANNELS)], tuple(frames)))
        state = facts["state"] if facts["state"] in _STATES else "idle"
        return Record(state=state, dropped=int(facts["dropped"]), messages=tuple(messages))
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
    finally:
        writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack("!I", await reader.readexactly(4))
    if size > _LARGEST_FRAME:
        raise ValueError("too large")
    return await reader.readexactly(size)
