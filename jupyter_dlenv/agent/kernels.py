"""All kernels of an environment: started, signalled, reaped, remembered, cleaned up after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import time
from typing import Any, Callable, Dict, List, Optional, Set

from . import linux, listeners
from .kernel import CHANNELS
from .wire import MAX_LINE, RequestError, decode, encode, say, tail
from .zygote_link import Zygote

_START_LIMIT = 60.0
_POLITE = 2.0
_REMEMBERED = 50
_ENDED_EARLY = "The kernel ended while it started."
_PREFIX = re.compile(r"k-[0-9a-f]{8}\Z")
_FILE = re.compile(r"k-[0-9a-f]{8}(-[1-5]|\.json|\.log)\Z")


class Kernel:
    """One kernel process, running or ended."""

    def __init__(self, kernel_id: str, pid: int, path: str) -> None:
        self.kernel_id = kernel_id
        self.pid = pid
        self.path = path
        self.started = time.time()
        #: What it has opened before any cell ran: no service of the user's.
        self.own_sockets: Set[int] = set()
        self.ended = asyncio.Event()
        self.exit_code: Optional[int] = None
        self.signal: Optional[int] = None

    def to_json(self) -> Dict[str, Any]:
        return {
            "kernel_id": self.kernel_id,
            "pid": self.pid,
            "prefix": os.path.basename(self.path),
            "started": self.started,
            "exit_code": self.exit_code,
            "signal": self.signal,
        }

    def send(self, signum: int) -> bool:
        """Signal the kernel and what its cells have started; tell whether it was there."""
        if self.ended.is_set():
            return False
        try:
            os.killpg(self.pid, signum)
        except OSError:
            return False
        return True


class Kernels:
    """The kernels of one agent.

    Args:
        on_exit: Called with the event when a kernel has ended that was started successfully.
        on_other: Called with the pid and the exit code of any other process that was reaped.
    """

    def __init__(
        self,
        directory: str,
        home: str,
        *,
        on_exit: Callable[[Dict[str, Any]], None],
        on_other: Callable[[int, int], None],
    ) -> None:
        self._directory = directory
        self._home = home
        self._on_exit = on_exit
        self._on_other = on_other
        #: Those that were started successfully, by id.
        self._kernels: Dict[str, Kernel] = {}
        #: Those that have not been reaped, by pid.
        self._processes: Dict[int, Kernel] = {}
        self._starting: "Dict[str, asyncio.Task[Any]]" = {}
        self._zygote: Optional[Zygote] = None
        self._zygote_lock = asyncio.Lock()
        own = os.stat(directory).st_uid == os.geteuid()
        # The directory lets nobody pass but its owner.  If that is another user than this one
        # (root in the container, somebody on the host), they could not connect otherwise.
        self.socket_mode = 0o600 if own else 0o666

    def list(self) -> List[Kernel]:
        return list(self._kernels.values())

    async def warm_up(self) -> None:
        """Load ipykernel before anybody asks; a failure is told to whoever asks."""
        try:
            await self._ready_zygote()
        except (RequestError, OSError) as error:
            say("kernels cannot be started: %s" % error)

    async def start(
        self, kernel_id: str, prefix: str, key: str, env: Dict[str, str], cwd: str
    ) -> Kernel:
        """Return a kernel that has bound its sockets.

        Args:
            prefix: Names the sockets of an ended kernel, whose clients the new one then has;
                empty for new ones.

        Raises:
            RequestError: It ended or was silent.
        """
        old = self._kernels.get(kernel_id)
        if kernel_id in self._starting or (old is not None and not old.ended.is_set()):
            raise RequestError("kernel-exists", "The kernel %s runs already." % kernel_id)
        path = self._path(prefix or "k-" + secrets.token_hex(4))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._starting[kernel_id] = task
        try:
            if old is not None:
                self.forget(kernel_id)
            zygote = await self._ready_zygote()
            return await self._fork(zygote, kernel_id, path, key, env, cwd)
        finally:
            del self._starting[kernel_id]

    def signal(self, kernel_id: str, signum: int) -> bool:
        """Signal a kernel's process group; a start under way is given up if it is to die."""
        task = self._starting.get(kernel_id)
        if task is not None:
            if signum in (signal.SIGTERM, signal.SIGKILL):
                task.cancel()
            return True
        kernel = self._kernels.get(kernel_id)
        return kernel is not None and kernel.send(signum)

    def forget(self, kernel_id: str) -> bool:
        """Drop an ended kernel and its log."""
        kernel = self._kernels.get(kernel_id)
        if kernel is None or not kernel.ended.is_set():
            return False
        del self._kernels[kernel_id]
        _unlink(kernel.path + ".log")
        return True

    def reap(self) -> None:
        """Collect every process that has ended: kernels, zygotes, and what kernels left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            signum = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            code = -signum if signum else os.WEXITSTATUS(status)
            if self._zygote is not None and self._zygote.reaped(pid, code):
                continue
            kernel = self._processes.get(pid)
            if kernel is not None:
                self._end(kernel, code, signum)
            else:
                self._on_other(pid, code)

    async def watch_unadopted(self) -> None:
        """Notice ends by asking, where the system does not make us a parent; codes are unknown."""
        while True:
            await asyncio.sleep(1)
            for kernel in list(self._processes.values()):
                if not os.path.exists("/proc/%d" % kernel.pid):
                    self._end(kernel, 255, 0)

    async def end_all(self) -> None:
        """End every process there is below this one, and remove every file of theirs."""
        for task in list(self._starting.values()):
            task.cancel()
        living = list(self._processes.values())
        for signum, patience in ((signal.SIGTERM, _POLITE), (signal.SIGKILL, _POLITE)):
            for kernel in living:
                kernel.send(signum)
            waits = [asyncio.ensure_future(kernel.ended.wait()) for kernel in living]
            if waits:
                _, pending = await asyncio.wait(waits, timeout=patience)
                for wait in pending:
                    wait.cancel()
        self._drop_zygote()
        await self._kill_orphans()
        self.remove_files()

    def remove_files(self) -> None:
        """Remove what kernels leave in the directory."""
        for name in os.listdir(self._directory):
            if _FILE.match(name) or name == "zygote.log":
                _unlink(os.path.join(self._directory, name))

    async def _ready_zygote(self) -> Zygote:
        async with self._zygote_lock:
            if self._zygote is not None and not self._zygote.usable:
                say("packages have changed; ipykernel is loaded again")
                self._drop_zygote()
            if self._zygote is None:
                self._zygote = Zygote(self._directory, self._home)
            try:
                await self._zygote.wait_until_ready()
            except RequestError:
                self._drop_zygote()
                raise
            return self._zygote

    def _drop_zygote(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _path(self, prefix: str) -> str:
        path = os.path.join(self._directory, prefix)
        if not _PREFIX.match(prefix) or any(k.path == path for k in self._processes.values()):
            raise RequestError("bad-request", "The prefix is malformed or in use.")
        return path

    async def _fork(
        self, zygote: Zygote, kernel_id: str, path: str, key: str, env: Dict[str, str], cwd: str
    ) -> Kernel:
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE)
            try:
                zygote.fork(theirs)
            except OSError as error:
                writer.close()
                raise RequestError("kernel-start", "The zygote has ended: %s." % error) from error
        kernel = None
        try:
            pid = int((await _receive(reader, path))["pid"])
            kernel = self._processes[pid] = Kernel(kernel_id, pid, path)
            request = {
                "prefix": path,
                "log": path + ".log",
                "key": key,
                "env": env,
                "cwd": cwd,
                "home": self._home,
                "socket_mode": self.socket_mode,
            }
            writer.write(encode(request))
            await _receive(reader, path)
            if kernel.ended.is_set():
                raise RequestError("kernel-start", _ENDED_EARLY, tail(path + ".log"))
            kernel.own_sockets = listeners.sockets_of(pid)
            self._kernels[kernel_id] = kernel
        finally:
            writer.close()
            if kernel is not None and kernel_id not in self._kernels:
                # Failed or cancelled: nobody will ever ask for it.
                kernel.send(signal.SIGKILL)
                _unlink(path + ".log")
        say("kernel %s runs (pid %d)" % (kernel_id, kernel.pid))
        return kernel

    def _end(self, kernel: Kernel, code: int, signum: int) -> None:
        kernel.exit_code, kernel.signal = code, signum
        kernel.ended.set()
        del self._processes[kernel.pid]
        for suffix in [".json"] + ["-%d" % channel for channel in range(1, CHANNELS + 1)]:
            _unlink(kernel.path + suffix)
        how = "was ended by %s" % _name(signum) if signum else "ended with code %d" % code
        say("kernel %s (pid %d) %s" % (kernel.kernel_id, kernel.pid, how))
        if self._kernels.get(kernel.kernel_id) is kernel:
            self._on_exit(
                {
                    "event": "exit",
                    "kernel_id": kernel.kernel_id,
                    "pid": kernel.pid,
                    "exit_code": code,
                    "signal": signum,
                    "log": tail(kernel.path + ".log"),
                }
            )
        ended = [name for name, other in self._kernels.items() if other.ended.is_set()]
        for name in ended[: max(0, len(ended) - _REMEMBERED)]:
            self.forget(name)

    async def _kill_orphans(self) -> None:
        limit = time.monotonic() + _POLITE
        # The children of a killed process become ours, so there may be several rounds.
        while time.monotonic() < limit:
            orphans = linux.children()
            if not orphans:
                return
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)
            self.reap()


async def _receive(reader: asyncio.StreamReader, path: str) -> Dict[str, Any]:
    try:
        line = await asyncio.wait_for(reader.readline(), _START_LIMIT)
    except asyncio.TimeoutError as error:
        message = "The kernel was silent for %d s." % _START_LIMIT
        raise RequestError("kernel-start", message, tail(path + ".log")) from error
    except OSError:
        line = b""
    answer = decode(line) if line else {}
    if not answer or "error" in answer:
        detail = str(answer.get("error", "")) or tail(path + ".log")
        raise RequestError("kernel-start", _ENDED_EARLY, detail)
    return answer


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return "signal %d" % signum


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
