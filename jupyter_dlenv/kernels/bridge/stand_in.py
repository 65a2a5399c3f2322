"""The life of a bridge: from the environment to its kernel, and to the end of one of the two."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...configuration import Configuration
from ...errors import DlenvError
from ...models import Environment
from ...using import running_environment
from .. import surroundings
from ..channels import kernel_endpoints
from ..link import AgentLink, KernelExit
from .connection import Connection
from .relay import Relay

_LINK_TIMEOUT = 10.0
_PARENT_INTERVAL = 1.0
#: What a kernel gets between SIGTERM and SIGKILL.
_POLITE = 3.0
_PASSED_ON = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def run(name: str, engine: str, connection_file: str) -> int:
    """Stand in for a kernel; return its exit code, or end by the signal that ended it."""
    try:
        ended = asyncio.run(_StandIn(name, engine).live(Path(connection_file)))
    except DlenvError as error:
        # Clients show what a kernel has printed last.
        print(*filter(None, (f"{error} {error.hint}", error.detail)), sep="\n", file=sys.stderr)  # noqa: T201
        return 1
    if ended.exit_code and ended.log:
        print(ended.log, file=sys.stderr)  # noqa: T201
    if ended.exit_code < 0:
        _die_of(-ended.exit_code)
    return ended.exit_code


class _StandIn:
    def __init__(self, name: str, engine: str) -> None:
        self._name = name
        self._engine = engine
        self._kernel_id = uuid.uuid4().hex
        self._link: AgentLink | None = None
        self._told_to_end = asyncio.Event()
        self._signalling: set[asyncio.Task[None]] = set()

    async def live(self, connection_file: Path) -> KernelExit:
        """Return how the kernel ended.

        Raises:
            DlenvError: There never was one.
        """
        connection = Connection.read(connection_file)
        relay = Relay(connection.endpoints)
        try:
            with _heard_by(self.hear):
                starting = asyncio.ensure_future(self._start(connection.key, relay))
                quitting = asyncio.ensure_future(self._reason_to_end())
                try:
                    await asyncio.wait({starting, quitting}, return_when=asyncio.FIRST_COMPLETED)
                    if not starting.done():
                        return KernelExit(exit_code=-signal.SIGTERM, signal=signal.SIGTERM, log="")
                    return await self._follow(starting.result(), quitting)
                finally:
                    # A start that is given up leaves no kernel behind; see the link.
                    for task in (starting, quitting):
                        task.cancel()
                    await asyncio.gather(starting, quitting, return_exceptions=True)
                    if self._link is not None:
                        await self._link.aclose()
        finally:
            await asyncio.to_thread(relay.close)

    async def _start(self, key: str, relay: Relay) -> AgentLink:
        environment = await self._running_environment()
        directory = Path(environment.runtime_dir)
        link = self._link = await AgentLink.connect(directory, timeout=_LINK_TIMEOUT)
        kernel = await link.start_kernel(
            self._kernel_id,
            key=key,
            env=surroundings.variables(os.environ, environment),
            cwd=surroundings.directory(str(Path.cwd()), environment),
            tied=True,
        )
        relay.start(kernel_endpoints(directory, kernel.prefix))
        return link

    async def _running_environment(self) -> Environment:
        environments = Configuration.load().open(self._engine)
        try:
            return await running_environment(environments, self._name)
        finally:
            await environments.aclose()

    async def _follow(self, link: AgentLink, quitting: asyncio.Task[None]) -> KernelExit:
        ended = link.exited(self._kernel_id)
        ends: list[asyncio.Future[Any]] = [ended, link.closed]
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([*ends, quitting], return_when=first)
        if quitting.done():
            for signum in (signal.SIGTERM, signal.SIGKILL):
                await self._signal(signum)
                done, _ = await asyncio.wait(ends, timeout=_POLITE, return_when=first)
                if done:
                    break
        if ended.done():
            return ended.result()
        # The kernel does not outlive the link that it is tied to.
        log = f"The environment {self._name!r} has stopped."
        return KernelExit(exit_code=-signal.SIGKILL, signal=signal.SIGKILL, log=log)

    async def _reason_to_end(self) -> None:
        """Return when this process is told to end, or when the one that started it is gone."""
        client = int(os.environ.get("JPY_PARENT_PID") or 0)
        parent = os.getppid()
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._told_to_end.wait(), _PARENT_INTERVAL)
                return
            # Who wants a kernel to outlive it does not tell its number.
            if client and (os.getppid() != parent or not _exists(client)):
                return

    def hear(self, signum: int) -> None:
        """Take a signal that was sent to this process."""
        if signum in _ENDING:
            self._told_to_end.set()
            return
        task = asyncio.ensure_future(self._signal(signum))
        self._signalling.add(task)
        task.add_done_callback(self._signalling.discard)

    async def _signal(self, signum: int) -> None:
        if self._link is not None:
            with suppress(DlenvError):
                await self._link.signal(self._kernel_id, signum)


@contextmanager
def _heard_by(hear: Callable[[int], None]) -> Iterator[None]:
    """Have the signals that clients send heard, instead of ending this process."""
    loop = asyncio.get_running_loop()
    for signum in (*_PASSED_ON, *_ENDING):
        loop.add_signal_handler(signum, hear, signum)
    try:
        yield
    finally:
        for signum in (*_PASSED_ON, *_ENDING):
            loop.remove_signal_handler(signum)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _die_of(signum: int) -> None:
    """End this process as the kernel ended, without a core of the wrong program."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if signum != signal.SIGKILL:
        signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
