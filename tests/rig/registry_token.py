"""A registry behind a gate that wants tokens, as NVIDIA's does, and that tests can hinder.

Debian's docker-registry holds the images.  The gate before it hands out tokens, keeps
count of what it lets through, and can be slow, moody or dead.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import secrets
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import registry as registries

_PIECE = 32 * 1024
_SCOPE = "repository:{}:pull"


@dataclass
class Behaviour:
    """What a test may change while the gate is open."""

    #: Bytes per second of each blob; 0 is as fast as it can.
    rate: int = 0
    #: So many token requests are refused, for no reason.
    moods: int = 0
    #: Strangers get no token for repositories that begin so.
    private: str = "private/"
    login: tuple[str, str] = ("$oauthtoken", "nvapi-not-a-secret")
    #: Blobs are elsewhere, at an address that refuses logins, as those of clouds do.
    redirect: bool = False


@dataclass
class Traffic:
    """What the gate has let through."""

    #: Bytes of the bodies of blobs.
    blobs: int = 0
    tokens: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Gate:
    """A registry with a gate, on a fixed port of loopback."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.behaviour = Behaviour()
        self.traffic = Traffic()
        self.tokens: dict[str, str] = {}
        self.upstream = registries.Registry(f"127.0.0.1:{registries._free_port()}", None)
        self.address = f"127.0.0.1:{registries._free_port()}"
        self.storage = f"127.0.0.1:{registries._free_port()}"
        self._program = program
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._servers: list[_Server] = []
        settings = registries._settings(directory, self.upstream.address, None)
        (directory / "config.yml").write_text(settings)

    def start(self) -> None:
        log = self._directory / "log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [str(self._program), "serve", str(self._directory / "config.yml")],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        url = f"http://{self.upstream.address}/v2/"
        registries._wait_until_it_answers(url, self._process, log)
        self._servers = [_Server(self, self.address), _Server(self, self.storage)]

    def kill(self) -> None:
        """End the registry as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        for server in self._servers:
            server.cut()
        self._servers = []

    def push(self, client, image: str, repository: str) -> str:
        """Push an image past the gate; return the reference to pull it by."""
        self.upstream.push(client, image, repository)
        return f"{self.address}/{repository}"


@contextlib.contextmanager
def serve(program: Path) -> Iterator[Gate]:
    """Run a registry with a gate for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="dl-gate-") as scratch:
        gate = Gate(program, Path(scratch))
        gate.start()
        try:
            yield gate
        finally:
            gate.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, gate: Gate, address: str) -> None:
        self.gate = gate
        self.address = address
        self._open: set[socket.socket] = set()
        host, port = address.split(":")
        super().__init__((host, int(port)), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def process_request(self, request, client_address):
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """Be silent: that the other side goes away is what the tests are about."""

    def cut(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        gate = self.server.gate
        parts = urlsplit(self.path)
        gate.traffic.requests.append(f"{self.command} {parts.path}")
        if self.server.address == gate.storage:
            if self.headers["Authorization"]:
                return self._answer(400, {"error": "two logins"})
            return self._forward()
        if parts.path == "/token":
            return self._token(parse_qs(parts.query))
        repository = parts.path.removeprefix("/v2/").rpartition("/")[0].rpartition("/")[0]
        kind, _, token = (self.headers["Authorization"] or "").partition(" ")
        granted = gate.tokens.get(token, "") if kind == "Bearer" else ""
        if not granted or (repository and granted != _SCOPE.format(repository)):
            # More than pulling: who asks for all of it as a stranger gets nothing.
            scope = f"repository:{repository}:pull,push"
            challenge = f'Bearer realm="http://{gate.address}/token",service="gate",scope="{scope}"'
            return self._answer(401, {"errors": []}, {"WWW-Authenticate": challenge})
        if gate.behaviour.redirect and "/blobs/" in parts.path:
            return self._answer(307, {}, {"Location": f"http://{gate.storage}{self.path}"})
        return self._forward()

    def _token(self, query):
        gate = self.server.gate
        scope = query.get("scope", [""])[0]
        given = self.headers["Authorization"] or ""
        gate.traffic.tokens.append(f"{'login' if given else 'stranger'} {scope}")
        user_and_password = ":".join(gate.behaviour.login).encode()
        right = f"Basic {base64.b64encode(user_and_password).decode()}"
        private = scope.startswith(f"repository:{gate.behaviour.private}")
        if gate.behaviour.moods:
            gate.behaviour.moods -= 1
            return self._answer(401, {"details": "for no reason"})
        if (given and given != right) or (private and not given) or "push" in scope:
            return self._answer(401, {"details": "no"})
        token = secrets.token_urlsafe(24)
        gate.tokens[token] = scope or "nothing"
        return self._answer(200, {"token": token, "expires_in": 300})

    def _answer(self, status, data, headers=None):
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _forward(self):
        gate = self.server.gate
        connection = http.client.HTTPConnection(gate.upstream.address, timeout=30)
        with contextlib.closing(connection):
            # Engines say what they accept on many lines, in any order.
            wanted = {k: ", ".join(self.headers.get_all(k, ())) for k in ("Accept", "Range")}
            wanted = {k: v for k, v in wanted.items() if v}
            connection.request(self.command, self.path, headers=wanted)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name not in ("Connection", "Date", "Server"):
                    self.send_header(name, value)
            self.end_headers()
            rate = gate.behaviour.rate if "/blobs/" in self.path else 0
            began, sent = time.monotonic(), 0
            while piece := answer.read(_PIECE):
                self.wfile.write(piece)
                sent += len(piece)
                if "/blobs/" in self.path:
                    gate.traffic.blobs += len(piece)
                if rate:
                    time.sleep(max(0.0, began + sent / rate - time.monotonic()))
            if answer.length:
                # The registry died: what was promised will not come.
                self.close_connection = True
