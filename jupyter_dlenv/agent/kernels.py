"""All kernels of an environment: started, signalled, reaped, remembered, cleaned up after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import time
from typing import Any, Callable, Dict, List, Optional, Set

from . import linux, listeners
from .kernel import FILES, RECORD
from .pool import Pool
from .process import Kernel, Newborn, signal_name
from .settings import Settings
from .wire import RequestError, say
from .zygote_link import Zygote
from .zygote_start import Begun

_POLITE = 2.0
_REMEMBERED = 50
#: How long a kernel that shall not outlive its holder waits for it to come back.
_ABANDONED = 30.0
_PREFIX = re.compile(r"k-[0-9a-f]{8}\Z")
_FILE = re.compile(r"k-[0-9a-f]{8}(-[1-7]|\.json|\.log)\Z")


class Kernels:
    """The kernels of one agent.

    Args:
        begun: The first zygote.
        on_exit: Called with the event when a kernel has ended that was started successfully.
        on_other: Called with the pid and the exit code of any other process that was reaped.
        on_change: Called when kernels have got sockets, or lost them.
    """

    def __init__(
        self,
        directory: str,
        home: str,
        settings: Settings,
        begun: Begun,
        *,
        on_exit: Callable[[Dict[str, Any]], None],
        on_other: Callable[[int, int], None],
        on_change: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._home = home
        self._on_exit = on_exit
        self._on_other = on_other
        self._on_change = on_change
        #: Those that were started successfully, by id.
        self._kernels: Dict[str, Kernel] = {}
        #: Those that have not been reaped, by pid.
        self._processes: Dict[int, Kernel] = {}
        self._starting: "Dict[str, asyncio.Task[Any]]" = {}
        self._zygote: Optional[Zygote] = Zygote(begun)
        self._zygote_lock = asyncio.Lock()
        self._pool = Pool(settings, self._warm_kernel)
        self._stopping = False
        #: Why the agent ends, if it ends by itself.
        self.reason = ""
        own = os.stat(directory).st_uid == os.geteuid()
        # The directory lets nobody pass but its owner.  If that is another user than this one
        # (root in the container, somebody on the host), they could not connect otherwise.
        self.socket_mode = 0o600 if own else 0o666

    def list(self) -> List[Kernel]:
        return list(self._kernels.values())

    def socket_names(self) -> List[str]:
        """Return the sockets of all kernels that run."""
        return [
            "%s-%d" % (os.path.basename(kernel.path), number)
            for kernel in self._kernels.values()
            if not kernel.ended.is_set()
            for number in range(1, RECORD + 1)
        ]

    def own_sockets(self) -> Dict[int, Set[int]]:
        """Return the sockets that each kernel has for itself; a warm one has no others."""
        return {
            pid: kernel.own_sockets if self._is_known(kernel) else listeners.sockets_of(pid)
            for pid, kernel in self._processes.items()
        }

    def unused(self) -> Set[int]:
        """Return the processes that work ahead, for nobody yet."""
        warm = {pid for pid, kernel in self._processes.items() if not self._is_known(kernel)}
        zygote = set() if self._zygote is None else {self._zygote.pid}
        return {os.getpid()} | warm | zygote

    async def warm_up(self) -> None:
        """Load ipykernel before anybody asks; a failure is told to whoever asks."""
        try:
            await self._ready_zygote()
            # Whoever launched the environment for a kernel is first.
            self._pool.fill()
        except (RequestError, OSError) as error:
            say("kernels cannot be started: %s" % error)

    async def start(
        self, kernel_id: str, prefix: str, key: str, env: Dict[str, str], cwd: str
    ) -> Kernel:
        """Return a kernel that has bound its sockets.

        Args:
            prefix: Names the sockets of an ended kernel, whose clients the new one then has;
                empty for new ones.
            env, cwd: Reach a kernel that ran before it was asked for, too.

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
            request = {
                "prefix": path,
                "log": path + ".log",
                "key": key,
                "env": env,
                "cwd": cwd,
                "restart": bool(prefix),
            }
            return await self._hand_over(kernel_id, request) or await self._start_cold(
                zygote, kernel_id, request
            )
        finally:
            del self._starting[kernel_id]
            self._pool.fill()

    def signal(self, kernel_id: str, signum: int) -> bool:
        """Signal a kernel's process group; a start under way is given up if it is to die."""
        task = self._starting.get(kernel_id)
        if task is not None:
            if signum in (signal.SIGTERM, signal.SIGKILL):
                task.cancel()
            return True
        kernel = self._kernels.get(kernel_id)
        return kernel is not None and kernel.send(signum)

    def hold(
        self, kernel_id: str, holder: object, note: Optional[Dict[str, Any]], outlives: bool
    ) -> Kernel:
        """Have a connection look after a kernel that no other one looks after.

        Args:
            note: What to tell the next holder; ``None`` leaves it as it is.

        Raises:
            RequestError: Another one does, or it does not run.
        """
        kernel = self._kernels.get(kernel_id)
        if kernel is None or kernel.ended.is_set():
            raise RequestError("no-such-kernel", "The kernel %s does not run." % kernel_id)
        if kernel.holder not in (None, holder):
            raise RequestError("held", "The kernel %s is another server's." % kernel_id)
        kernel.holder, kernel.outlives = holder, outlives
        if note is not None:
            kernel.note = note
        return kernel

    def let_go(self, holder: object) -> None:
        """Note that a connection has ended; what shall not outlive it is ended after a while."""
        for kernel in self._kernels.values():
            if kernel.holder is holder:
                kernel.holder = None
                if not kernel.outlives and not kernel.ended.is_set():
                    patience = 0 if kernel.tied else _ABANDONED
                    asyncio.get_event_loop().call_later(patience, self._end_abandoned, kernel)

    def _end_abandoned(self, kernel: Kernel) -> None:
        if kernel.holder is None and not kernel.ended.is_set():
            say("kernel %s ends: nobody has come back for it" % kernel.kernel_id)
            kernel.send(signal.SIGKILL)

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
        self._stopping = True
        for task in list(self._starting.values()):
            task.cancel()
        self._pool.clear()
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
            # At the beginning the first zygote writes to its log already.
            if _FILE.match(name) or (name == "zygote.log" and self._stopping):
                _unlink(os.path.join(self._directory, name))

    async def _ready_zygote(self) -> Zygote:
        async with self._zygote_lock:
            if self._zygote is not None and not self._zygote.usable:
                say("packages have changed; ipykernel is loaded again")
                self._pool.clear()
                self._drop_zygote()
            if self._zygote is None:
                self._zygote = Zygote(Begun(self._directory, self._home))
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

    async def _hand_over(self, kernel_id: str, request: Dict[str, Any]) -> Optional[Kernel]:
        """Return a warm kernel that has become the wanted one; ``None`` if there is none."""
        newborn = await self._pool.take(request["env"])
        if newborn is None:
            return None
        kernel = newborn.kernel
        before = kernel.path
        if not request["restart"]:
            # A new kernel may as well keep the sockets that the warm one has.
            request = {**request, "prefix": before, "log": before + ".log"}
        kernel.kernel_id, kernel.path = kernel_id, request["prefix"]
        try:
            newborn.tell({**request, "home": self._home})
            await newborn.hear()
            self._register(kernel, request["key"])
        except RequestError as error:
            say("a warm kernel could not be used: %s" % error)
            return None
        finally:
            self._conclude(newborn)
            if before != kernel.path:
                _remove_sockets(before)
                _unlink(before + ".log")
        return kernel

    async def _start_cold(self, zygote: Zygote, kernel_id: str, request: Dict[str, Any]) -> Kernel:
        newborn = await self._fork(zygote, kernel_id, request["prefix"])
        try:
            newborn.tell({**request, **self._common(), "warm": False})
            await newborn.hear()
            self._register(newborn.kernel, request["key"])
        finally:
            self._conclude(newborn)
        return newborn.kernel

    async def _warm_kernel(self, preload: List[str]) -> Newborn:
        """Return a kernel that is nobody's yet."""
        zygote = await self._ready_zygote()
        path = self._path("k-" + secrets.token_hex(4))
        newborn = await self._fork(zygote, "", path)
        ready = False
        try:
            request = {"prefix": path, "log": path + ".log", "key": secrets.token_hex(32)}
            newborn.tell({**request, **self._common(), "warm": True, "preload": preload})
            await newborn.hear()
            self._pool.give_up_import((await newborn.hear(preload=True))["preloaded"])
            ready = True
            return newborn
        finally:
            if not ready:
                self._conclude(newborn)

    async def _fork(self, zygote: Zygote, kernel_id: str, path: str) -> Newborn:
        newborn = await Newborn.fork(zygote, kernel_id, path)
        self._processes[newborn.kernel.pid] = newborn.kernel
        return newborn

    def _common(self) -> Dict[str, Any]:
        return {"home": self._home, "socket_mode": self.socket_mode}

    def _register(self, kernel: Kernel, key: str) -> None:
        kernel.key = key
        kernel.started = time.time()
        kernel.own_sockets = listeners.sockets_of(kernel.pid)
        kernel.oom_kills = linux.out_of_memory_kills()
        self._kernels[kernel.kernel_id] = kernel
        self._on_change()
        say("kernel %s runs (pid %d)" % (kernel.kernel_id, kernel.pid))

    def _is_known(self, kernel: Kernel) -> bool:
        return self._kernels.get(kernel.kernel_id) is kernel

    def _conclude(self, newborn: Newborn) -> None:
        """End the talk with a new process; if it failed or was cancelled, the process too."""
        kernel = newborn.kernel
        wanted = self._is_known(kernel)
        newborn.close(kill=not wanted)
        if not wanted:
            _unlink(kernel.path + ".log")

    def _end(self, kernel: Kernel, code: int, signum: int) -> None:
        kernel.exit_code, kernel.signal = code, signum
        kernel.ended.set()
        del self._processes[kernel.pid]
        _remove_sockets(kernel.path)
        if not kernel.kernel_id:
            # A warm one that nobody had asked for.
            _unlink(kernel.path + ".log")
            return
        how = "was ended by %s" % signal_name(signum) if signum else "ended with code %d" % code
        say("kernel %s (pid %d) %s" % (kernel.kernel_id, kernel.pid, how))
        if self._kernels.get(kernel.kernel_id) is kernel:
            self._on_change()
            self._on_exit(kernel.exit_event(stopping=self._stopping, reason=self.reason))
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


def _remove_sockets(path: str) -> None:
    for suffix in [".json"] + ["-%d" % channel for channel in range(1, FILES + 1)]:
        _unlink(path + suffix)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
