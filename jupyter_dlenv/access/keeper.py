"""The one process of a user that keeps forwards, and how the user's other processes ask it.

Forwards need somebody who listens.  Of all Jupyter servers of a user on a machine the first
one does, known by a lock; the others, and the command line, ask it over a unix socket in the
user's private directory.  When it ends, another takes over what was recorded.

One line ``{"op": "list" | "add" | "remove", "place": {…}, …}`` is answered by one line
``{"ok": …}`` or ``{"error": {"code", "message", "hint", "detail"}}``.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import DlenvError, NoKeeperError
from .forwards import Forward, Forwards
from .relay import Place

_log = logging.getLogger(__name__)
_SOCKET = "forwards.sock"
_LOCK = "forwards.lock"
_RETRY = 2.0
_LONGEST_RETRY = 60.0
_TIMEOUT = 15.0
_CREDENTIALS = struct.Struct("3i")


class Keeper:
    """Keeps the forwards, or asks the process that does.

    Args:
        forwards: Used from the moment on that this process is the one.
        directory: The user's private runtime directory on this machine.
    """

    def __init__(self, forwards: Forwards, directory: Path) -> None:
        self._forwards = forwards
        self._directory = directory
        self._lock = -1
        self._door: asyncio.AbstractServer | None = None
        self._becoming = asyncio.Lock()

    async def run(self) -> None:
        """Become the keeper as soon as nobody else is."""
        # The end of another process is no event that one could wait for.
        pause = _RETRY
        while True:
            try:
                if await self._is_keeper():
                    return
            except NoKeeperError as error:
                _log.warning("%s %s", error, error.detail)
                pause = min(2 * pause, _LONGEST_RETRY)
            await asyncio.sleep(pause)

    async def list(self, place: Place) -> tuple[Forward, ...]:
        """Return the forwards of an environment."""
        if await self._is_keeper():
            return self._forwards.list(place)
        return await ask_list(self._directory, place)

    async def add(self, place: Place, port: int, *, local: int, engine_id: str) -> Forward:
        """Do what ``Forwards.add`` does, and raise what it raises."""
        if await self._is_keeper():
            return await self._forwards.add(place, port, local=local, engine_id=engine_id)
        return await ask_add(self._directory, place, port, local=local, engine_id=engine_id)

    async def remove(self, place: Place, local: int) -> None:
        """Do what ``Forwards.remove`` does, and raise what it raises."""
        if await self._is_keeper():
            await self._forwards.remove(place, local)
        else:
            await ask_remove(self._directory, place, local)

    async def aclose(self) -> None:
        """Stop listening, and leave the forwards to whoever comes next."""
        async with self._becoming:
            if self._door is not None:
                (self._directory / _SOCKET).unlink(missing_ok=True)
                self._door.close()
            await self._forwards.aclose()
            if self._lock >= 0:
                os.close(self._lock)
            self._door, self._lock = None, -1

    async def _is_keeper(self) -> bool:
        async with self._becoming:
            if self._door is not None:
                return True
            try:
                if self._lock < 0:
                    self._lock = await asyncio.to_thread(_take_lock, self._directory)
                if self._lock < 0:
                    return False
                await self._forwards.restore()
                self._door = await self._open_door()
            except OSError as error:
                message = f"Forwards cannot be kept in {self._directory}."
                raise NoKeeperError(message, detail=str(error)) from error
            return True

    async def _open_door(self) -> asyncio.AbstractServer:
        # Renamed into place: who finds it can connect, and one of a killed process goes.
        path = self._directory / _SOCKET
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        door = await asyncio.start_unix_server(self._serve, path=temporary)
        temporary.chmod(0o600)
        temporary.rename(path)
        return door

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _peer(writer.get_extra_info("socket")) != os.getuid():
                return
            line = await asyncio.wait_for(reader.readline(), _TIMEOUT)
            try:
                answer = {"ok": await self._obey(json.loads(line))}
            except DlenvError as error:
                answer = {"error": error.to_json()}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError, KeyError, TypeError, asyncio.TimeoutError) as error:
            _log.warning("A question about forwards was not understood: %r", error)
        finally:
            writer.close()

    async def _obey(self, request: dict[str, Any]) -> Any:
        place = Place(**request["place"])
        if request["op"] == "add":
            forward = await self._forwards.add(
                place,
                int(request["port"]),
                local=int(request["local"]),
                engine_id=str(request["engine_id"]),
            )
            return forward.to_json()
        if request["op"] == "remove":
            await self._forwards.remove(place, int(request["local"]))
            return None
        return [forward.to_json() for forward in self._forwards.list(place)]


async def ask_list(directory: Path, place: Place) -> tuple[Forward, ...]:
    """Ask the keeper for the forwards of an environment.

    Raises:
        NoKeeperError
    """
    return tuple(Forward.from_json(f) for f in await _ask(directory, "list", place))


async def ask_add(
    directory: Path, place: Place, port: int, *, local: int, engine_id: str
) -> Forward:
    """Ask the keeper for a new forward.

    Raises:
        NoKeeperError
        DlenvError: What ``Forwards.add`` raises.
    """
    answer = await _ask(directory, "add", place, port=port, local=local, engine_id=engine_id)
    return Forward.from_json(answer)


async def ask_remove(directory: Path, place: Place, local: int) -> None:
    """Ask the keeper to remove a forward.

    Raises:
        NoKeeperError
        DlenvError: What ``Forwards.remove`` raises.
    """
    await _ask(directory, "remove", place, local=local)


async def _ask(directory: Path, op: str, place: Place, **arguments: Any) -> Any:
    try:
        reader, writer = await asyncio.open_unix_connection(directory / _SOCKET)
    except OSError as error:
        raise NoKeeperError("No Jupyter server of yours keeps forwards here.") from error
    try:
        if _peer(writer.get_extra_info("socket")) != os.getuid():
            raise NoKeeperError("Somebody else answers in place of a Jupyter server of yours.")
        request = {"op": op, "place": asdict(place), **arguments}
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), _TIMEOUT))
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise NoKeeperError("The Jupyter server did not answer.", detail=str(error)) from error
    finally:
        writer.close()
    if "error" in answer:
        raise _raised(answer["error"])
    return answer["ok"]


def _raised(error: dict[str, str]) -> DlenvError:
    kinds = {kind.code: kind for kind in _tree(DlenvError)}
    kind = kinds.get(error["code"], DlenvError)
    return kind(error["message"], hint=error["hint"], detail=error["detail"])


def _tree(kind: type[DlenvError]) -> Iterator[type[DlenvError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _take_lock(directory: Path) -> int:
    """Return the descriptor that holds the lock, or -1 if another process does."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor


def _peer(connected: socket.socket) -> int:
    """Return the user at the other end."""
    with suppress(OSError):
        said = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(said)[1])
    return -1
