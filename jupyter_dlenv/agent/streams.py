"""The agent's third door, for hosts that share no sockets: a stream that carries connections.

An engine starts ``python FOLDER --stream DIRECTORY`` and holds its standard input and output.  That
process hands both over to the agent and does nothing more.  The first line of the host is
``{"session": …, "machine": …, "received": N}``, the answer ``{"received": M, "new": …}``; after it
both speak as ``mux.py`` does.  A host that comes again with the same session goes on where the
stream before broke off.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
from typing import Any, Callable, Dict, List, Optional, Set

from .linux import keep_large_blocks
from .mux import Mux
from .pipes import Pipes, receive
from .wire import say

SOCKET = "stream.sock"
#: How long connections wait for a host that was cut off.
_ABANDONED = 600.0
_LINE_LIMIT = 15.0
_LONGEST_TEXT = 128


class _Session:
    def __init__(self, name: str, mux: Mux) -> None:
        self.name = name
        self.mux = mux
        self.talk: "Optional[asyncio.Task[Any]]" = None
        self.expiry: Optional[asyncio.TimerHandle] = None


class Streams:
    """Serves one directory from ``open`` until ``close``.

    Args:
        names: Says which sockets of the directory can be connected to.
    """

    def __init__(self, directory: str, names: Callable[[], List[str]]) -> None:
        self._directory = directory
        self._path = os.path.join(directory, SOCKET)
        self._names = names
        #: The last of each machine.
        self._sessions: Dict[str, _Session] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._tasks: "Set[asyncio.Task[Any]]" = set()

    def open(self, mode: int) -> None:
        # Renamed into place, like the agent's other sockets.
        temporary = self._path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        self._listener.bind(temporary)
        os.chmod(temporary, mode)
        self._listener.listen(16)
        self._listener.setblocking(False)
        os.rename(temporary, self._path)
        self._keep(self._accept())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        for session in self._sessions.values():
            session.mux.close()
        for task in list(self._tasks):
            task.cancel()
        self._listener.close()

    def changed(self) -> None:
        """Tell every host which sockets there are now."""
        for session in self._sessions.values():
            session.mux.tell(self._names())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                say("stream: %s" % error)
                await asyncio.sleep(0.1)
                continue
            client.setblocking(False)
            self._keep(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        with client:
            pipes = None
            try:
                pipes = await receive(client, _LINE_LIMIT)
                line = await asyncio.wait_for(pipes.line(), _LINE_LIMIT)
                await self._talk(client, pipes, json.loads(line))
            except (OSError, ValueError, KeyError, TypeError, asyncio.TimeoutError) as error:
                say("stream: %r" % error)
            finally:
                if pipes is not None:
                    pipes.close()

    async def _talk(self, client: socket.socket, pipes: Pipes, hello: Dict[str, Any]) -> None:
        name, machine = hello["session"][:_LONGEST_TEXT], hello["machine"][:_LONGEST_TEXT]
        session = self._sessions.get(machine)
        new = session is None or session.name != name
        if session is not None:
            # The host knows better than we do that the stream before has ended.
            if session.talk is not None:
                session.talk.cancel()
                await asyncio.wait([session.talk])
            if new:
                session.mux.close()
        if session is None or new:
            session = _Session(name, Mux(connect=self._connect, hear=lambda _: None))
            self._sessions[machine] = session
            session.mux.tell(self._names())
        if session.expiry is not None:
            session.expiry.cancel()
        keep_large_blocks()
        answer = {"received": session.mux.received, "new": new}
        await pipes.write([json.dumps(answer).encode(), b"\n"])
        talk = session.talk = asyncio.ensure_future(session.mux.run(pipes, hello["received"]))
        gone = asyncio.ensure_future(_until_gone(client))
        try:
            await asyncio.wait({talk, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            talk.cancel()
            gone.cancel()
            await asyncio.wait({talk, gone})
            if session.talk is talk:
                session.talk = None
                loop = asyncio.get_running_loop()
                session.expiry = loop.call_later(_ABANDONED, self._expire, machine, session)
        if not talk.cancelled():
            talk.result()

    def _expire(self, machine: str, session: _Session) -> None:
        session.mux.close()
        if self._sessions.get(machine) is session:
            del self._sessions[machine]

    async def _connect(self, name: str) -> socket.socket:
        if name not in self._names():
            raise FileNotFoundError(name)
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected = False
        try:
            end.setblocking(False)
            path = os.path.join(self._directory, name)
            await asyncio.get_running_loop().sock_connect(end, path)
            connected = True
            return end
        finally:
            if not connected:
                end.close()

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def main(argv: List[str]) -> int:
    """Hand standard input and output over to the agent, and wait until it needs them no more."""
    (directory,) = argv
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        try:
            agent.connect(os.path.join(directory, SOCKET))
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1]).tobytes())]
            agent.sendmsg([b"s"], rights)
        except OSError:
            return 1
        os.close(0)
        os.close(1)
        agent.recv(1)
    return 0


async def _until_gone(client: socket.socket) -> None:
    """Return when the process that handed over its streams has ended."""
    with contextlib.suppress(OSError):
        await asyncio.get_running_loop().sock_recv(client, 1)
