"""The websocket that carries an environment's SSH stream to who has only the Jupyter URL."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from importlib import resources
from typing import Any

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ..access.relay import SSHD, Place
from ..access.ssh_proxy import END
from ..errors import EnvironmentNotRunningError
from ..models import Status
from .base import DlenvHandler, needs
from .failures import OriginRefusedError

_PIECE = 64 * 1024
#: Less than the minute after which many proxies end a connection on which nothing moves.
_PING_SECONDS = 30.0
_POLICY_VIOLATION = 1008


class SshHandler(WebSocketHandler, DlenvHandler):
    """Binary messages in both directions are the stream of a new ``sshd -i``.

    The client ends its direction with a text message, since a websocket ends both at once.
    Each direction waits for who reads slowly.  Whatever fails before the stream begins is
    answered as on every other route.
    """

    _stream: socket.socket | None = None
    _passing: tuple[asyncio.Task[None], ...] = ()
    _writing: asyncio.Future[None] | None = None

    async def prepare(self) -> None:  # type: ignore[override]  # as its own base does
        # Browsers send the header with every websocket, and their cookies too; programs need
        # neither.  So no page, not even one of this server, can speak SSH with a user's cookie.
        if "Origin" in self.request.headers:
            raise OriginRefusedError("A web page may not open this connection.")
        await super().prepare()

    def check_origin(self, origin: str = "") -> bool:  # noqa: ARG002
        return "Origin" not in self.request.headers

    @needs("execute")
    async def get(self, *path: str, **_: Any) -> None:
        (name,) = path
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise HTTPError(400, "This route is a websocket.")
        environments = self.dlenv.environments()
        environment = await environments.get(name)
        if environment.status is not Status.RUNNING:
            raise EnvironmentNotRunningError(f"The environment {name!r} is not running.")
        self._stream = await environments.relay.connect(Place.of(environment), SSHD)
        try:
            await super().get(*path)
        finally:
            if not self._passing:
                self._stream.close()

    async def open(self, name: str) -> None:
        assert self._stream is not None  # noqa: S101
        self.set_nodelay(True)
        self.log.info("SSH through the websocket: %s", name)
        self._passing = (self._begin(self._send(self._stream)), self._begin(self._ping()))

    async def on_message(self, message: str | bytes) -> None:
        """Pass on; no further message is read from the client until this returns."""
        if self._stream is None:
            return
        if message == END:
            with contextlib.suppress(OSError):
                self._stream.shutdown(socket.SHUT_WR)
            return
        if isinstance(message, str):
            self.close(_POLICY_VIOLATION, "binary messages only")
            return
        self.update_api_activity()
        sending = asyncio.get_running_loop().sock_sendall(self._stream, message)
        self._writing = asyncio.ensure_future(sending)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._writing
            await asyncio.sleep(0)

    def on_close(self) -> None:
        self._begin(self._finish())

    async def _send(self, stream: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, WebSocketClosedError):
            while data := await loop.sock_recv(stream, _PIECE):
                self.update_api_activity()
                # Returns when the client's side has room again.
                await self.write_message(data, binary=True)
                # Nothing here waits while both ends keep up; others shall have their turn.
                await asyncio.sleep(0)
        self.close()

    async def _ping(self) -> None:
        with contextlib.suppress(WebSocketClosedError):
            while True:
                await asyncio.sleep(_PING_SECONDS)
                self.ping()

    async def _finish(self) -> None:
        under_way = [*self._passing, *([self._writing] if self._writing else [])]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
        if self._stream is not None:
            self._stream.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # The server cancels what is in this set when it stops.
        task = asyncio.create_task(work)
        self.dlenv.following.add(task)
        task.add_done_callback(self.dlenv.following.discard)
        return task


class SshProxyScriptHandler(DlenvHandler):
    """The program for the laptop."""

    @needs("read")
    async def get(self) -> None:
        script = resources.files("jupyter_dlenv.access").joinpath("ssh_proxy.py")
        self.set_header("Content-Disposition", "attachment; filename=ssh_proxy.py")
        self.finish(script.read_bytes(), set_content_type="text/x-python; charset=utf-8")
