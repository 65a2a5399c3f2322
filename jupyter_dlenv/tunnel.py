"""The sockets of one environment on this machine, where its engine shares none.

They are bound in the environment's private directory under the names that they have inside, so
nobody who speaks to an agent or a kernel knows the difference.  What connects to them is carried
over one stream, a process that the engine runs inside; ``agent/mux.py`` says how.

This is a process of its own, ``python -m jupyter_dlenv.tunnel``, one for each running environment
and machine: connections of a Jupyter server that is killed end at that moment and not when some
network notices, and those of one program do not depend on another.  It ends with the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from .access.relay import TUNNEL_LOCK
from .agent.linux import keep_large_blocks
from .agent.mux import Mux, first_line
from .engines import open_engine
from .engines.base import Engine, Stream
from .errors import ContainerNotFoundError, DlenvError, EnvironmentNotRunningError
from .plan import AGENT_TARGET, RUNTIME_TARGET

_log = logging.getLogger(__name__)

#: What an agent can have us bind: nothing else of its names becomes a path here.
_NAME = re.compile(r"agent\.sock\Z|k-[0-9a-f]{8}-[1-6]\Z")
_HELLO_LIMIT = 15.0
_FIRST_RETRY = 0.05
_LONGEST_RETRY = 5.0
_LOOK_SECONDS = 10.0
_MACHINE = "machine"


def ensure(engine: str, container_id: str, inner: Path, *, python: str, user: str) -> None:
    """Start the tunnel of a running environment, unless there is one; blocks for a moment.

    Args:
        engine: Its name or URL.
        inner: The directory for the sockets.
        python: The interpreter inside.
        user: Whom the agent inside runs as.
    """
    if not _is_free(inner.parent / TUNNEL_LOCK):
        return
    command = [sys.executable, "-m", __name__, engine, container_id, str(inner), python, user]
    log = os.open(inner.parent / "tunnel.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)
    # It outlives us and is reaped by the system; its end is no matter of ours.
    started.returncode = 0


def _is_free(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


class _EngineStream:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._before = b""

    async def line(self) -> bytes:
        """Return the first line."""
        line, self._before = await first_line(self._said)
        return line

    async def hand_on(self, take: Callable[[bytes], None]) -> None:
        if self._before:
            take(self._before)

        def taken(kind: int, data: bytes) -> None:
            if kind != 2:
                take(data)
            else:
                _complain(data)

        await self._stream.hand_on(taken)

    async def _said(self) -> bytes:
        while True:
            kind, data = await self._stream.read()
            if kind != 2:
                return data
            _complain(data)

    async def write(self, pieces: list[bytes]) -> None:
        await self._stream.write(b"".join(pieces))


def _complain(data: bytes) -> None:
    _log.warning("inside: %s", bytes(data).decode(errors="replace").strip())


class _Doors:
    """The sockets on this machine."""

    def __init__(self, inner: Path) -> None:
        self._inner = inner
        self._open: dict[str, asyncio.Task[None]] = {}
        self._listening: dict[str, socket.socket] = {}
        self.mux: Mux | None = None

    def keep_only(self, names: list[str]) -> None:
        """Have the sockets of these names, and no others; at once, for they are asked for next."""
        wanted = {name for name in names if _NAME.match(name)}
        for name in self._listening.keys() - wanted:
            self._close(name)
        for name in sorted(wanted - self._listening.keys()):
            self._bind(name)

    def _bind(self, name: str) -> None:
        path = self._inner / name
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        # Renamed into place: who finds it can connect.  Short, as paths of sockets have to be.
        new = self._inner / ".n"
        new.unlink(missing_ok=True)
        listener.bind(str(new))
        new.chmod(0o600)
        listener.listen(64)
        new.rename(path)
        self._listening[name] = listener
        self._open[name] = asyncio.ensure_future(self._accept(name, listener))

    def _close(self, name: str) -> None:
        self._open.pop(name).cancel()
        self._listening.pop(name).close()
        (self._inner / name).unlink(missing_ok=True)

    async def _accept(self, name: str, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
                client.setblocking(False)
            except OSError as error:
                _log.warning("%s: %s", name, error)
                await asyncio.sleep(0.1)
                continue
            if self.mux is None:
                client.close()
            else:
                self.mux.open(name, client)


class Tunnel:
    """Carries connections for as long as the environment runs."""

    def __init__(
        self, engine: Engine, container_id: str, inner: Path, *, python: str, user: str
    ) -> None:
        self._engine = engine
        self._container_id = container_id
        self._command = (python, AGENT_TARGET, "--stream", RUNTIME_TARGET)
        self._user = user
        self._inner = inner
        self._machine = _machine(inner.parent / _MACHINE)
        self._doors = _Doors(inner)
        self._session = ""
        self._begin_anew()

    async def run(self) -> None:
        """Return when the environment has stopped, or is gone."""
        retry = _FIRST_RETRY
        while self._inner.is_dir():
            try:
                async with self._stream() as stream:
                    await self._talk(stream)
                    retry = _FIRST_RETRY
            except (ContainerNotFoundError, EnvironmentNotRunningError):
                break
            except (OSError, ValueError, asyncio.TimeoutError, DlenvError) as error:
                _log.info("the stream ended: %r", error)
            if not await self._still_runs():
                break
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LONGEST_RETRY)
        self._doors.keep_only([])

    async def until_removed(self) -> None:
        """Return when the environment was removed, whether the engine ends its stream or not."""
        # The end of a directory is no event that one could wait for.
        while self._inner.is_dir():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)

    async def _talk(self, stream: _EngineStream) -> None:
        hello = {
            "session": self._session,
            "machine": self._machine,
            "received": self._mux.received,
        }
        await stream.write([json.dumps(hello).encode(), b"\n"])
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(stream.line(), _HELLO_LIMIT))
        if answer["new"] and self._mux.used:
            # Another agent, or one that has waited too long: nothing of before is left there.
            self._begin_anew()
            return
        await self._mux.run(stream, int(answer["received"]))

    def _begin_anew(self) -> None:
        if self._doors.mux is not None:
            self._doors.mux.close()
        self._session = secrets.token_hex(16)
        self._mux = self._doors.mux = Mux(connect=_refuse, hear=self._doors.keep_only)

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[_EngineStream]:
        stream = await self._engine.open_stream(self._container_id, self._command, user=self._user)
        async with AsyncExitStack() as closing:
            closing.push_async_callback(stream.aclose)
            yield _EngineStream(stream)

    async def _still_runs(self) -> bool:
        try:
            return (await self._engine.inspect(self._container_id)).state == "running"
        except ContainerNotFoundError:
            return False
        except DlenvError:
            # Unreachable is not ended.
            return True


async def _refuse(name: str) -> socket.socket:
    raise FileNotFoundError(name)


def _machine(path: Path) -> str:
    """Return what tells this machine from others that use the same environment."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    return path.read_text(encoding="ascii")


async def _main(arguments: argparse.Namespace) -> None:
    inner = Path(arguments.inner)
    engine = open_engine(arguments.engine, data_dir=inner.parent)
    try:
        await engine.probe()
        tunnel = Tunnel(
            engine, arguments.container, inner, python=arguments.python, user=arguments.user
        )
        ends = [asyncio.ensure_future(tunnel.run()), asyncio.ensure_future(tunnel.until_removed())]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            end.result()
    finally:
        await engine.aclose()


def main() -> None:
    """Be the tunnel of one environment, unless another process is."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("engine", "container", "inner", "python", "user"):
        parser.add_argument(name)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    descriptor = os.open(Path(arguments.inner).parent / TUNNEL_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    keep_large_blocks()
    # Held until the process ends, however it does.
    asyncio.run(_main(arguments))


if __name__ == "__main__":
    main()
