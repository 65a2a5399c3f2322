"""The agent's door: JSON lines on ``agent.sock``, and the life of the agent as a whole.

Whoever can open the socket can run code as the user of the agent.  Who can is decided by
the directory: on the host it is reachable by its owner alone (0700).  Inside a container
its root can open it as well, which could run code as that user anyhow.

Each line is a request ``{"id": 1, "op": "hello"}`` and is answered, in any order, by
``{"id": 1, "ok": {…}}`` or ``{"id": 1, "error": {"code", "message", "detail"}}``.  Every
connection is told of every kernel that ends: ``{"event": "exit", "kernel_id", …}``.
A kernel that was started with ``"tied": true`` ends with the connection that asked for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import platform
import re
import signal
import sys
from typing import Any, Dict, List, Optional, Set

from . import linux, listeners
from .idle import EXIT_CODE, IdleWatch
from .kernels import Kernels
from .process import Kernel
from .relay import Relay
from .settings import Settings
from .sshd import SshServer
from .streams import Streams
from .wire import MAX_LINE, PROTOCOL, RequestError, decode, encode, say
from .zygote_start import Begun

_KERNEL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
#: A client that reads nothing is dropped before its events fill the memory.
_LARGEST_BACKLOG = 4 * MAX_LINE


class Supervisor:
    """Serves one directory until it is told to stop."""

    def __init__(self, directory: str, home: str, settings: Settings, begun: Begun) -> None:
        self._directory = directory
        self._home = home
        self._socket = os.path.join(directory, "agent.sock")
        self._writers: Set[asyncio.StreamWriter] = set()
        self._conversations: "Set[asyncio.Task[None]]" = set()
        self._stopping = asyncio.Event()
        self._ssh = SshServer(directory)
        self._kernels = Kernels(
            directory,
            home,
            settings,
            begun,
            on_exit=self._broadcast,
            on_other=self._ssh.reaped,
            on_change=self._tell_hosts,
        )
        self._streams = Streams(directory, self._sockets)
        self._idle = IdleWatch(
            directory, self._kernels, warn=self._broadcast, stop=self._stop_for_idleness
        )
        self._exit_code = 0
        self._operations = {
            "hello": self._hello,
            "start_kernel": self._start_kernel,
            "signal": self._signal,
            "kernels": self._list_kernels,
            "hold": self._hold,
            "forget": self._forget,
            "ssh": self._configure_ssh,
            "listeners": self._listeners,
            "idle": self._look_at_use,
            "idle_stop": self._configure_idle_stop,
            "shutdown": self._shutdown,
        }

    async def run(self) -> int:
        """Serve, then end all kernels and leave the directory as it was found.

        Returns the exit code.
        """
        loop = asyncio.get_running_loop()
        background = [asyncio.ensure_future(self._kernels.warm_up())]
        if not linux.adopt_orphans():
            say("this system has no subreapers; the exit codes of kernels are unknown")
            background.append(asyncio.ensure_future(self._kernels.watch_unadopted()))
        loop.add_signal_handler(signal.SIGCHLD, self._kernels.reap)
        # The zygote is older than this handler.
        loop.call_soon(self._kernels.reap)
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stopping.set)
        self._kernels.remove_files()
        self._ssh.resume()
        self._idle.resume()
        background.append(asyncio.ensure_future(self._idle.watch()))
        relay = Relay(self._directory, self._kernels.socket_mode)
        relay.open()
        self._streams.open(self._kernels.socket_mode)
        server = await self._listen()
        say("ready in %s, Python %s" % (self._directory, platform.python_version()))
        try:
            await self._stopping.wait()
            say("stopping")
        finally:
            server.close()
            relay.close()
            self._streams.close()
            with contextlib.suppress(OSError):
                os.unlink(self._socket)
            for task in background:
                task.cancel()
            self._ssh.close()
            await self._kernels.end_all()
            for writer in list(self._writers):
                writer.close()
            if self._conversations:
                await asyncio.wait(self._conversations, timeout=1)
        return self._exit_code

    def _sockets(self) -> List[str]:
        return [os.path.basename(self._socket), *self._kernels.socket_names()]

    def _tell_hosts(self) -> None:
        self._streams.changed()

    async def _listen(self) -> asyncio.AbstractServer:
        # Renamed into place: who finds it can connect, and one of an agent that was killed goes.
        path = self._socket + ".new"
        server = await asyncio.start_unix_server(self._welcome, path=path, limit=MAX_LINE)
        os.chmod(path, self._kernels.socket_mode)
        os.rename(path, self._socket)
        return server

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.ensure_future(self._serve(reader, writer))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks: Set[asyncio.Task[None]] = set()
        self._writers.add(writer)
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    refusal = RequestError("bad-request", "The line is longer than 1 MiB.")
                    self._send(writer, {"id": None, "error": refusal.to_json()})
                    return
                except OSError:
                    return
                if not line:
                    return
                task = asyncio.ensure_future(self._answer(line, writer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            # A kernel that is being started for nobody must not be left running.
            for task in list(tasks):
                task.cancel()
            self._writers.discard(writer)
            self._kernels.let_go(writer)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        answer: Dict[str, Any] = {"id": None}
        try:
            request = decode(line)
            answer["id"] = request.get("id")
            operation = self._operations.get(str(request.get("op")), _unknown)
            answer["ok"] = await operation(request, writer)
        except RequestError as error:
            answer["error"] = error.to_json()
        except asyncio.CancelledError:
            answer["error"] = RequestError("cancelled", "The start was given up.").to_json()
        except Exception as error:  # noqa: BLE001  the edge of the process
            say("request failed: %r" % error)
            failure = RequestError("agent-error", "The agent failed.", repr(error))
            answer["error"] = failure.to_json()
        self._send(writer, answer)

    def _broadcast(self, event: Dict[str, Any]) -> None:
        for writer in list(self._writers):
            self._send(writer, event)

    def _send(self, writer: asyncio.StreamWriter, value: Dict[str, Any]) -> None:
        if writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > _LARGEST_BACKLOG:
            writer.transport.abort()
            return
        writer.write(encode(value))

    async def _hello(self, _: Dict[str, Any], __: object) -> Dict[str, Any]:
        try:
            ipykernel = importlib.metadata.version("ipykernel")
        except importlib.metadata.PackageNotFoundError:
            ipykernel = ""
        return {
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "python": sys.executable,
            "python_version": platform.python_version(),
            "ipykernel": ipykernel,
            "uid": os.getuid(),
            "gid": os.getgid(),
            "home": self._home,
        }

    async def _start_kernel(self, request: Dict[str, Any], asker: object) -> Dict[str, Any]:
        env = request.get("env", {})
        if not isinstance(env, dict) or not all(
            isinstance(name, str) and isinstance(value, str) and name and "=" not in name
            for name, value in env.items()
        ):
            raise RequestError("bad-request", "env maps names to strings.")
        kernel = await self._kernels.start(
            _kernel_id(request),
            _text(request, "prefix"),
            _text(request, "key"),
            env,
            _text(request, "cwd"),
        )
        kernel.tied = request.get("tied") is True
        self._idle.use("kernel")
        if asker not in self._writers:
            # Gone meanwhile: nobody will ever ask for it.
            kernel.send(signal.SIGKILL)
        elif "outlives" in request:
            self._kernels.hold(kernel.kernel_id, asker, _note(request), _outlives(request))
        else:
            # Somebody of an earlier version, who takes care of its kernels by other means.
            kernel.outlives = True
        return _place(kernel)

    async def _hold(self, request: Dict[str, Any], asker: object) -> Dict[str, Any]:
        kernel = self._kernels.hold(_kernel_id(request), asker, _note(request), _outlives(request))
        # Whoever is here can run code as the user of the kernel, so the key tells no secret.
        return {**_place(kernel), "key": kernel.key, "note": kernel.note}

    async def _signal(self, request: Dict[str, Any], _: object) -> Dict[str, Any]:
        signum = request.get("signum")
        if not isinstance(signum, int) or not 0 <= signum < signal.NSIG:
            raise RequestError("bad-request", "signum is the number of a signal.")
        return {"delivered": self._kernels.signal(_kernel_id(request), signum)}

    async def _list_kernels(self, _: Dict[str, Any], __: object) -> Dict[str, Any]:
        return {"kernels": [kernel.to_json() for kernel in self._kernels.list()]}

    async def _forget(self, request: Dict[str, Any], _: object) -> Dict[str, Any]:
        return {"forgotten": self._kernels.forget(_kernel_id(request))}

    async def _configure_ssh(self, request: Dict[str, Any], _: object) -> Dict[str, Any]:
        configured = self._ssh.configure(
            _text(request, "host_key"),
            _text(request, "authorized_keys"),
            listen=request.get("listen") is True,
            own_system=request.get("own_system") is True,
        )
        await self._ssh.listening()
        return configured

    async def _listeners(self, request: Dict[str, Any], _: object) -> Dict[str, Any]:
        loop = asyncio.get_running_loop()
        root = os.getpid() if request.get("own") is True else None
        kernels = self._kernels.own_sockets()
        return {"listeners": await loop.run_in_executor(None, listeners.describe, kernels, root)}

    async def _look_at_use(self, _: Dict[str, Any], __: object) -> Dict[str, Any]:
        return await self._idle.look()

    async def _configure_idle_stop(self, request: Dict[str, Any], _: object) -> Dict[str, Any]:
        limit = request.get("limit")
        if not isinstance(limit, (int, float)) or isinstance(limit, bool) or not 0 <= limit < 1e9:
            raise RequestError("bad-request", "limit is a number of seconds.")
        self._idle.configure(float(limit), own_system=request.get("own_system") is True)
        return {}

    def _stop_for_idleness(self) -> None:
        self._kernels.reason = "idle"
        self._exit_code = EXIT_CODE
        self._stopping.set()

    async def _shutdown(self, _: Dict[str, Any], __: object) -> Dict[str, Any]:
        self._stopping.set()
        return {}


async def _unknown(_: Dict[str, Any], __: object) -> Dict[str, Any]:
    raise RequestError("bad-request", "There is no such operation.")


def _place(kernel: Kernel) -> Dict[str, Any]:
    return {"pid": kernel.pid, "prefix": os.path.basename(kernel.path)}


def _note(request: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    note = request.get("note")
    if note is not None and not isinstance(note, dict):
        raise RequestError("bad-request", "note is an object.")
    return note


def _outlives(request: Dict[str, Any]) -> bool:
    return request.get("outlives") is True


def _kernel_id(request: Dict[str, Any]) -> str:
    kernel_id = _text(request, "kernel_id")
    if not _KERNEL_ID.match(kernel_id):
        raise RequestError("bad-request", "kernel_id has other characters than letters and digits.")
    return kernel_id


def _text(request: Dict[str, Any], key: str) -> str:
    value = request.get(key, "")
    if not isinstance(value, str) or "\0" in value:
        raise RequestError("bad-request", "%s is a string." % key)
    return value
