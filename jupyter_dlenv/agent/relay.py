"""The agent's second door, ``relay.sock``: who names a target there is handed a socket to it.

One line ``{"tcp": 6006}`` is answered by one line ``{"ok": {}}`` that carries the connected
socket itself (``SCM_RIGHTS``), or by ``{"error": {"code", "message", "detail"}}``.  From then on
the two ends talk through the kernel alone: no byte passes through the agent, and a connection
outlives it.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from typing import Any, Set

from . import targets
from .wire import RequestError, decode, encode, say

_LONGEST_REQUEST = 4096
_REQUEST_LIMIT = 10.0
_PAUSE = 0.1


class Relay:
    """Serves one directory from ``open`` until ``close``."""

    def __init__(self, directory: str, socket_mode: int) -> None:
        self._directory = directory
        self._path = os.path.join(directory, "relay.sock")
        self._mode = socket_mode
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._tasks: "Set[asyncio.Future[Any]]" = set()

    def open(self) -> None:
        # Renamed into place: who finds it can connect, and one of an agent that was killed goes.
        temporary = self._path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        self._listener.bind(temporary)
        os.chmod(temporary, self._mode)
        self._listener.listen(128)
        self._listener.setblocking(False)
        os.rename(temporary, self._path)
        self._keep(self._accept())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        for task in list(self._tasks):
            task.cancel()
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                # Too many open files, as a rule.
                say("relay: %s" % error)
                await asyncio.sleep(_PAUSE)
                continue
            client.setblocking(False)
            self._keep(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                request = await asyncio.wait_for(_read(client), _REQUEST_LIMIT)
                with await targets.connect(decode(request), self._directory) as target:
                    descriptors = array.array("i", [target.fileno()]).tobytes()
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
                    client.sendmsg([encode({"ok": {}})], rights)
            except RequestError as error:
                with contextlib.suppress(OSError):
                    client.send(encode({"error": error.to_json()}))
            except (OSError, asyncio.TimeoutError):
                # Whoever asked is gone, or never asked.
                return

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _read(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    line = b""
    while not line.endswith(b"\n"):
        data = await loop.sock_recv(client, _LONGEST_REQUEST)
        if not data:
            raise ConnectionResetError
        line += data
        if len(line) > _LONGEST_REQUEST:
            raise RequestError("bad-request", "The line is too long.")
    return line
