"""One kernel process as its supervisor sees it, and the talk with it until it runs by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from typing import Any, Dict, Optional, Set

from . import linux
from .kernel import ACTIVITY
from .wire import MAX_LINE, RequestError, decode, encode, tail
from .zygote_link import Zygote

_START_LIMIT = 60.0
#: The import of a large framework from a cold disk.
_PRELOAD_LIMIT = 600.0
ENDED_EARLY = "The kernel ended while it started."


class Kernel:
    """One kernel process, running or ended.

    Attributes:
        holder: The connection that looks after it.
        note: What its holder wants to be told by whoever holds it next.
        outlives: Whether it runs on when its holder is gone.
        tied: Its holder cannot come back, so it ends at once if it does not outlive it.
    """

    def __init__(self, kernel_id: str, pid: int, path: str) -> None:
        self.kernel_id = kernel_id
        self.pid = pid
        self.path = path
        self.key = ""
        self.started = time.time()
        #: What it has opened before any cell ran: no service of the user's.
        self.own_sockets: Set[int] = set()
        self.ended = asyncio.Event()
        self.exit_code: Optional[int] = None
        self.signal: Optional[int] = None
        self.holder: Optional[object] = None
        self.note: Dict[str, Any] = {}
        self.outlives = False
        self.tied = False
        self.oom_kills = linux.out_of_memory_kills()

    @property
    def activity(self) -> str:
        """Return the file in which it notes when it did something."""
        return "%s-%d" % (self.path, ACTIVITY)

    def to_json(self) -> Dict[str, Any]:
        return {
            "kernel_id": self.kernel_id,
            "pid": self.pid,
            "prefix": os.path.basename(self.path),
            "started": self.started,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "held": self.holder is not None,
            "outlives": self.outlives,
        }

    def exit_event(self, *, stopping: bool, reason: str) -> Dict[str, Any]:
        """Return all that can be said of its end."""
        size, free = linux.shared_memory()
        return {
            "event": "exit",
            "kernel_id": self.kernel_id,
            "pid": self.pid,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "log": tail(self.path + ".log"),
            "out_of_memory": linux.out_of_memory_kills() > self.oom_kills,
            "shm_size": size,
            "shm_free": free,
            "stopping": stopping,
            "reason": reason,
        }

    def send(self, signum: int) -> bool:
        """Signal the kernel and what its cells have started; tell whether it was there."""
        if self.ended.is_set():
            return False
        try:
            os.killpg(self.pid, signum)
        except OSError:
            return False
        return True


class Newborn:
    """A process that was forked and does not run by itself yet."""

    def __init__(
        self, kernel: Kernel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.kernel = kernel
        self._reader = reader
        self._writer = writer

    @classmethod
    async def fork(cls, zygote: Zygote, kernel_id: str, path: str) -> "Newborn":
        """Have the zygote fork a process.

        Raises:
            RequestError: It could not.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE)
            try:
                zygote.fork(theirs)
            except OSError as error:
                writer.close()
                raise RequestError("kernel-start", "The zygote has ended: %s." % error) from error
        try:
            pid = int((await _receive(reader, path, _START_LIMIT))["pid"])
        except BaseException:
            writer.close()
            raise
        return cls(Kernel(kernel_id, pid, path), reader, writer)

    def tell(self, request: Dict[str, Any]) -> None:
        """Send a line."""
        self._writer.write(encode(request))

    async def hear(self, *, preload: bool = False) -> Dict[str, Any]:
        """Return the next line.

        Raises:
            RequestError: The process ended or was silent; the detail is the end of its log.
        """
        limit = _PRELOAD_LIMIT if preload else _START_LIMIT
        answer = await _receive(self._reader, self.kernel.path, limit)
        if self.kernel.ended.is_set():
            raise RequestError("kernel-start", ENDED_EARLY, tail(self.kernel.path + ".log"))
        return answer

    def close(self, *, kill: bool) -> None:
        """End the talk; a process that nobody will ask for is killed."""
        self._writer.close()
        if kill:
            self.kernel.send(signal.SIGKILL)


def signal_name(signum: int) -> str:
    """Return ``SIGKILL`` for 9."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return "signal %d" % signum


async def _receive(reader: asyncio.StreamReader, path: str, limit: float) -> Dict[str, Any]:
    try:
        line = await asyncio.wait_for(reader.readline(), limit)
    except asyncio.TimeoutError as error:
        message = "The kernel was silent for %d s." % limit
        raise RequestError("kernel-start", message, tail(path + ".log")) from error
    except OSError:
        line = b""
    answer = decode(line) if line else {}
    if not answer or "error" in answer:
        detail = str(answer.get("error", "")) or tail(path + ".log")
        raise RequestError("kernel-start", ENDED_EARLY, detail)
    return answer
