"""The supervisor's hold on the zygote: waits for its imports, hands it sockets."""

from __future__ import annotations

import array
import asyncio
import socket
import sys
from typing import Dict, List

from .wire import MAX_LINE, RequestError, decode, say, tail
from .zygote import are_same
from .zygote_start import Begun

_IMPORT_LIMIT = 60.0


class Zygote:
    """One zygote process; it ends when this end of its socket is closed."""

    def __init__(self, begun: Begun) -> None:
        self._log = begun.log
        self._control = begun.control
        self._process = begun.process
        self._paths: Dict[str, List[int]] = {}
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Tell whether it lives and knows the packages that are installed now."""
        return not self._ended.is_set() and are_same(self._paths)

    async def wait_until_ready(self) -> None:
        """Return when the imports are done.

        Raises:
            RequestError: They failed; the detail has the end of the traceback.
        """
        if self._paths:
            return
        try:
            line = await asyncio.wait_for(self._read_line(), _IMPORT_LIMIT)
        except asyncio.TimeoutError as error:
            raise RequestError(
                "kernel-start",
                "ipykernel could not be loaded within %d s." % _IMPORT_LIMIT,
                tail(self._log),
            ) from error
        if not line:
            raise RequestError(
                "kernel-start",
                "ipykernel cannot be loaded by %s%s." % (sys.executable, await self._how_ended()),
                tail(self._log),
            )
        self._paths = decode(line)["paths"]

    def fork(self, channel: socket.socket) -> None:
        """Have a kernel forked that speaks on the channel.

        Raises:
            OSError: The zygote has ended.
        """
        # socket.send_fds exists from Python 3.9 on.
        descriptors = array.array("i", [channel.fileno()]).tobytes()
        self._control.sendmsg([b"k"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])

    def reaped(self, pid: int, code: int) -> bool:
        """Note the end of a process if it was this zygote; tell whether it was."""
        if pid != self._process.pid:
            return False
        self._process.returncode = code
        self._ended.set()
        if code != 0:
            say("the zygote ended with code %d" % code)
        return True

    def close(self) -> None:
        """Let it end; its kernels live on."""
        self._control.close()
        if not self._ended.is_set() and not self._paths:
            # It is still importing and does not look at the socket.
            self._process.kill()

    async def _read_line(self) -> bytes:
        line = b""
        loop = asyncio.get_running_loop()
        while not line.endswith(b"\n") and len(line) < MAX_LINE:
            try:
                data = await loop.sock_recv(self._control, 4096)
            except ConnectionError:
                data = b""
            if not data:
                return b""
            line += data
        return line

    async def _how_ended(self) -> str:
        try:
            await asyncio.wait_for(self._ended.wait(), 2)
        except asyncio.TimeoutError:
            return ""
        return " (exit code %d)" % self._process.returncode
