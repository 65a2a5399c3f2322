"""How a byte stream to something inside an environment is had, whatever the engine."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines.base import Engine, Stream, SupportsSocketMounts
from ..errors import AgentError, AgentUnreachableError, DlenvError, TargetRefusedError
from ..labels import PYTHON
from ..models import Environment

#: A port may be of a service that is busy, and the agent tries several addresses.
_TIMEOUT = 45.0
_LONGEST_ANSWER = 64 * 1024
_LENGTH = struct.Struct(">I")
_PIECE = 64 * 1024
#: Beside the directory of the sockets, if these are carried over a stream; see ``tunnel.py``.
TUNNEL_LOCK = "tunnel.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an environment is reached: all that outlives a restart of it, and of ourselves."""

    environment_id: str
    owner: str
    name: str
    container_id: str
    runtime_dir: str

    @classmethod
    def of(cls, environment: Environment) -> Place:
        return cls(
            environment_id=environment.id,
            owner=environment.owner,
            name=environment.name,
            container_id=environment.container_id,
            runtime_dir=environment.runtime_dir,
        )

    def is_of(self, other: Place) -> bool:
        """Tell whether this is the same environment, before or after it was re-created."""
        return (self.owner, self.name) == (other.owner, other.name)


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port inside, on loopback or any other address there."""

    number: int

    def to_json(self) -> dict[str, Any]:
        return {"tcp": self.number}


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A unix socket inside, by its absolute path."""

    path: str

    def to_json(self) -> dict[str, Any]:
        return {"unix": self.path}


@dataclass(frozen=True, slots=True)
class Program:
    """Standard input and output of a new process, of those that ``agent/targets.py`` names."""

    name: str

    def to_json(self) -> dict[str, Any]:
        return {"program": self.name}


Target = Port | UnixSocket | Program
OpenStream = Callable[[str, tuple[str, ...]], Awaitable[Stream]]
#: A new ``sshd -i``, which needs no port and no daemon.
SSHD = Program("sshd")


class Relay:
    """Connects to what is inside the environments of one engine.

    Where the engine shares sockets with this machine, the agent hands over a connected
    socket of its own network: the bytes pass through the system alone, and the engine is not
    asked.  Elsewhere the bytes pass through a process that the engine starts.

    Args:
        open_stream: Starts a process in the environment of a name, as its user.
        agent: Where the agent's folder is inside.
        directory: Where the agent's own directory is inside.
    """

    def __init__(
        self, engine: Engine, open_stream: OpenStream, *, agent: str, directory: str
    ) -> None:
        self._engine = engine
        self._open_stream = open_stream
        self._agent = agent
        self._directory = directory
        self._passing: set[asyncio.Task[None]] = set()

    async def connect(self, place: Place, target: Target) -> socket.socket:
        """Return a connected, non-blocking stream socket, which the caller closes.

        Raises:
            AgentUnreachableError: The environment does not run.
            TargetRefusedError: Nothing is there.
        """
        path = Path(place.runtime_dir) / "relay.sock"
        # An engine that is away does not keep anybody from what runs.
        carried = (path.parent.parent / TUNNEL_LOCK).exists()
        if path.exists() or (not carried and await self._shares_sockets()):
            return await _handed_over(path, target)
        return await self.connect_through_engine(place, target)

    async def connect_through_engine(self, place: Place, target: Target) -> socket.socket:
        """Connect as ``connect`` does where no sockets are shared."""
        state = await self._engine.inspect(place.container_id)
        python = state.labels.get(PYTHON, "python3")
        request = json.dumps(target.to_json())
        stream = await self._open_stream(
            place.name, (python, self._agent, "--relay", self._directory, request)
        )
        try:
            frames = _Frames(stream)
            _check(await asyncio.wait_for(frames.line(), _TIMEOUT))
            ours, theirs = socket.socketpair()
        except BaseException:
            await stream.aclose()
            raise
        ours.setblocking(False)
        theirs.setblocking(False)
        task = asyncio.create_task(_pass_on(stream, frames, theirs), name="dlenv relay")
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        return ours

    async def aclose(self) -> None:
        """End the connections that pass through the engine."""
        for task in self._passing:
            task.cancel()
        if self._passing:
            await asyncio.wait(self._passing)

    async def _shares_sockets(self) -> bool:
        await self._engine.probe()
        return isinstance(self._engine, SupportsSocketMounts) and self._engine.shares_sockets()


async def _handed_over(path: Path, target: Target) -> socket.socket:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            await asyncio.wait_for(loop.sock_connect(asking, str(path)), _TIMEOUT)
            await loop.sock_sendall(asking, json.dumps(target.to_json()).encode() + b"\n")
            answer, descriptor = await asyncio.wait_for(_receive(asking), _TIMEOUT)
        except (OSError, asyncio.TimeoutError) as error:
            raise AgentUnreachableError(
                "The program inside the environment does not answer.", detail=str(error)
            ) from error
    try:
        _check(answer)
        return _trusted(descriptor)
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise


async def _receive(asking: socket.socket) -> tuple[bytes, int]:
    """Return the answer, and the descriptor that came with it or -1."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(asking, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(asking)
    size = array.array("i").itemsize
    answer, ancillary, _, _ = asking.recvmsg(
        _LONGEST_ANSWER, socket.CMSG_LEN(size), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % size])
    return answer, descriptors[0] if descriptors else -1


def _trusted(descriptor: int) -> socket.socket:
    """Return the socket that a descriptor is; whoever is root inside could have sent anything."""
    try:
        is_socket = descriptor >= 0 and stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        raise AgentError("The agent handed over something that is not a socket.")
    received = socket.socket(fileno=descriptor)
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if received.type != socket.SOCK_STREAM or received.family not in families:
        received.detach()
        raise AgentError("The agent handed over a socket of another kind.")
    received.setblocking(False)
    return received


def _check(answer: bytes) -> None:
    try:
        message = json.loads(answer)
        if "ok" in message:
            return
        error = message["error"]
        text, detail = str(error["message"]), str(error["detail"])
        refused = error["code"] == "target-refused"
    except (ValueError, KeyError, TypeError) as error:
        raise AgentUnreachableError(
            "The program inside the environment did not answer as it should.",
            detail=answer[:1000].decode(errors="replace"),
        ) from error
    raise (TargetRefusedError if refused else AgentError)(text, detail=detail)


class _Frames:
    """What a relay process says, as ``agent/relay_stdio.py`` frames it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._said = bytearray()

    async def line(self) -> bytes:
        """Return the first line; what was said instead of one, if it is missing."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_ANSWER or not await self._read_on():
                return bytes(self._buffer or self._said)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    async def next(self) -> bytes:
        """Return the next piece, empty at the end.

        Raises:
            ConnectionResetError: The stream broke off.
        """
        (length,) = _LENGTH.unpack(await self._exactly(_LENGTH.size))
        return await self._exactly(length)

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not await self._read_on():
                raise ConnectionResetError("the relay ended")
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        return piece

    async def _read_on(self) -> bool:
        kind, data = await self._stream.read()
        if kind == 2:
            self._said += data[: _LONGEST_ANSWER - len(self._said)]
        elif kind:
            self._buffer += data
        return kind != 0


async def _pass_on(stream: Stream, frames: _Frames, end: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    async def outwards() -> None:
        while piece := await frames.next():
            await loop.sock_sendall(end, piece)
            # Nothing here waits while both ends keep up; others shall have their turn.
            await asyncio.sleep(0)
        end.shutdown(socket.SHUT_WR)

    async def inwards() -> None:
        while piece := await loop.sock_recv(end, _PIECE):
            await stream.write(_LENGTH.pack(len(piece)) + piece)
            await asyncio.sleep(0)
        await stream.write(_LENGTH.pack(0))

    directions = [asyncio.ensure_future(outwards()), asyncio.ensure_future(inwards())]
    try:
        with suppress(OSError, DlenvError):
            await asyncio.gather(*directions)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.wait(directions)
        end.close()
        await stream.aclose()
