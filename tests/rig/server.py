"""A Jupyter server in a process of its own, which can be killed, and pages that stay open."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

TOKEN = "a-token-of-the-tests"
_PATIENCE = 60.0
#: For conditions that have to do with something else than what a page hears.
_LONGEST_BLINDNESS = 0.05
#: Others cost a start more than everything else together.
_OTHERS = ("jupyterlab", "jupyter_lsp", "notebook_shim", "jupyter_server_terminals")
_EXTENSIONS = {"jupyter_dlenv": True, **dict.fromkeys(_OTHERS, False)}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """The server of one user: what is started again finds what the one before it has left."""

    def __init__(
        self,
        root: Path,
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.port = free_port()
        self._root, self._log = root, log
        self._env, self._arguments = dict(env or {}), arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.extensions = dict(_EXTENSIONS)

    async def start(self, *, port: int = 0) -> None:
        """Start it and return when it answers."""
        self.port = port or self.port
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"),
            *("--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
            *(f"--ServerApp.root_dir={self._root}", "--ServerApp.disable_check_xsrf=True"),
            f"--ServerApp.jpserver_extensions={self.extensions}",
            *self._arguments,
        ]
        self.process = self._run(command)
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                await self.get("/api")
                return
            except (OSError, HTTPClientError):
                assert self.process.poll() is None, self._log.read_text()[-4000:]
                assert time.monotonic() < end, "the server does not answer"
                await asyncio.sleep(0.02)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            env = {**os.environ, **self._env}
            return subprocess.Popen(command, stdout=output, stderr=output, env=env)

    async def end(self, signum: int = signal.SIGKILL) -> None:
        """Signal it and return when it is gone."""
        assert self.process is not None
        self.process.send_signal(signum)
        await asyncio.to_thread(self.process.wait, 30)

    async def get(self, path: str) -> Any:
        return await self.ask("GET", path)

    async def ask(self, verb: str, path: str, body: Any = None) -> Any:
        """Return the JSON that the server answers, or nothing."""
        request = HTTPRequest(
            f"http://127.0.0.1:{self.port}{path}",
            method=verb,
            headers={"Authorization": f"token {TOKEN}"},
            body=json.dumps(body) if verb in ("POST", "PATCH") else None,
            allow_nonstandard_methods=True,
            request_timeout=_PATIENCE,
        )
        answer = (await AsyncHTTPClient().fetch(request)).body
        return json.loads(answer) if answer else None

    async def open_notebook(self, path: str, kernel: str) -> dict[str, Any]:
        """Start a kernel for a notebook; return the session."""
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
        return dict(await self.ask("POST", "/api/sessions", body))


class Page:
    """One page of a browser: it keeps its id, and what it has received, over reconnections."""

    def __init__(self, server: Server, kernel_id: str) -> None:
        self.received: list[dict[str, Any]] = []
        self.bytes_received = 0
        self._news = asyncio.Event()
        self.kernel_id = kernel_id
        self._server = server
        self._id = uuid.uuid4().hex
        self._socket: WebSocketClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        url = (
            f"ws://127.0.0.1:{self._server.port}/api/kernels/{self.kernel_id}/channels"
            f"?session_id={self._id}&token={TOKEN}"
        )
        socket = await asyncio.wait_for(websocket_connect(url, max_message_size=1 << 30), _PATIENCE)
        self._socket = socket
        self._reading = asyncio.ensure_future(self._read(socket))

    async def send(self, message_type: str, content: Mapping[str, Any], channel: str) -> str:
        """Send a message and return its id."""
        assert self._socket is not None
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": message_type,
            "username": "",
            "session": self._id,
            "version": "5.3",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._socket.write_message(json.dumps({**message, "channel": channel, "buffers": []}))
        return header["msg_id"]

    async def begin(self, code: str) -> str:
        """Begin to execute code; return the id of the request."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        return await self.send("execute_request", content, "shell")

    async def execute(self, code: str) -> str:
        """Return what code prints, its value and the name of its error."""
        request = await self.begin(code)
        await self.until(lambda: self.is_done(request))
        return self.output(request)

    async def answered(self, request: str) -> None:
        """Return when the reply to a request has come."""
        await self.until(lambda: any(m["msg_type"].endswith("_reply") for m in self.of(request)))

    async def answered_again(self) -> None:
        """Return when a kernel that was started again answers."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            request = await self.begin("pass")
            try:
                await self.until(lambda r=request: self.is_done(r), 1)
                return
            except AssertionError:
                continue
        raise AssertionError(f"received only {self.received[-5:]}")

    def count_bytes(self) -> None:
        """Begin to count, and forget what was received."""
        self.bytes_received = 0
        self.received.clear()

    def of(self, request: str) -> list[dict[str, Any]]:
        """Return what was received for a request."""
        return [m for m in self.received if m["parent_header"].get("msg_id") == request]

    def is_done(self, request: str) -> bool:
        """Tell whether a page would show that the cell has ended: it waits for both."""
        types = {
            m["msg_type"]
            for m in self.of(request)
            if m["msg_type"] == "execute_reply" or m["content"].get("execution_state") == "idle"
        }
        return types == {"execute_reply", "status"}

    def output(self, request: str) -> str:
        parts = []
        for message in self.of(request):
            content = message["content"]
            if message["msg_type"] == "stream":
                parts.append(content["text"])
            elif message["msg_type"] == "execute_result":
                parts.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                parts.append(content["ename"])
        return "".join(parts)

    async def until(self, condition: Callable[[], Any], patience: float = _PATIENCE) -> None:
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, f"received only {self.received[-5:]}"
            self._news.clear()
            # At once, or else what is measured with this comes in steps.
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LONGEST_BLINDNESS)

    async def aclose(self) -> None:
        if self._socket is not None and self._reading is not None:
            self._socket.close()
            await asyncio.wait([self._reading], timeout=5)

    async def _read(self, socket: WebSocketClientConnection) -> None:
        while (message := await socket.read_message()) is not None:
            self.bytes_received += len(message)
            if isinstance(message, str):
                self.received.append(json.loads(message))
            self._news.set()
