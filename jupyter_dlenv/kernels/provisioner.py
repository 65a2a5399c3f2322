"""What Jupyter asks of a kernel process, said to the agent of an environment instead."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Bool, Unicode

from ..access.relay import TUNNEL_LOCK
from ..configuration import Configuration
from ..errors import (
    AgentError,
    AgentUnreachableError,
    DlenvError,
    EnvironmentNotFoundError,
    KernelStartError,
)
from ..models import Environment
from ..using import reached_again, running_environment
from . import surroundings
from .last_exit import KERNEL_EXIT, LastExit, explain_environment, explain_kernel
from .link import AgentLink, HeldKernel, KernelExit, nobody_listens
from .paths import to_host
from .seen import forget
from .start_errors import told_to_the_user

_LINK_TIMEOUT = 10.0
_RETRY_INTERVAL = 1.0
#: Why it ended is worth knowing, but not worth waiting for an engine that hangs.
_EXPLAIN_TIMEOUT = 2.0
#: In which a kernel ends that has nothing to do; with others the manager has more patience.
_POLITE_END = 0.5
_GONE = KernelExit(exit_code=-signal.SIGKILL, signal=signal.SIGKILL, log="")


class DlenvProvisioner(KernelProvisionerBase):
    """Runs a kernel in an environment; the environment outlives it."""

    environment = Unicode(help="Name of the environment.").tag(config=True)
    engine = Unicode(help="Name or URL of its engine; empty is the default.").tag(config=True)
    outlives = Bool(
        False,
        help="Whether kernels run on when the process that started them ends. A Jupyter server "
        "with our extension sets it, because it finds them again.",
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The base class has one dictionary for all: keys would leak from kernel to kernel.
        self.connection_info = {}
        #: How the kernel ended last, if it was not asked to.
        self.last_exit: LastExit | None = None
        #: Whether an earlier process has started the kernel.
        self.adopted = False
        #: The pages that have been given what they missed of an adopted kernel.
        self.caught_up: set[str] = set()
        self._directory = Path()
        self._note: dict[str, Any] = {}
        self._observed: Environment | None = None
        self._link: AgentLink | None = None
        self._prefix = ""
        self._cwd = ""
        self._running = False
        self._ended: KernelExit | None = None
        self._following: asyncio.Task[None] | None = None
        self._shut_down = False
        self._telling: asyncio.Task[None] | None = None

    @property
    def has_process(self) -> bool:
        return self._running

    @property
    def record(self) -> Path:
        """Return where the kernel tells what it said; see ``kernels/record.py``."""
        return self._directory / f"{self._prefix}-6"

    @property
    def sessions(self) -> list[dict[str, str]]:
        """Return the sessions that were remembered last."""
        return list(self._note.get("sessions", []))

    @property
    def private_dir(self) -> Path:
        """Return a directory of the environment that nobody inside can see."""
        return self._directory.parent

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make sure that the environment runs.  Called before each launch and restart."""
        self._refuse_after_shutdown()
        # An agent that answers is asked nothing but the kernel: a restart should be quick.
        answers = self._link is not None and not self._link.closed.done()
        if self._observed is None or not answers:
            with told_to_the_user():
                self._observed = await self._running_environment()
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002 - the agent knows how
        """Have the agent start a kernel; return the sockets on which it listens already."""
        environment = self._observed
        if environment is None:
            raise KernelStartError("The environment was not looked for before the launch.")
        directory = self._directory = Path(environment.runtime_dir)
        self._cwd = surroundings.directory(str(kwargs.get("cwd") or ""), environment)
        self._ended = None
        key = self._key()
        given = kwargs.get("env") or {}
        self._note.update(
            kernel_name=getattr(self.parent, "kernel_name", ""),
            cwd=str(kwargs.get("cwd") or ""),
            inside=self._cwd,
            env=surroundings.passed_on(given),
        )
        with told_to_the_user():
            link = await self._connected(directory)
            kernel = await link.start_kernel(
                self.kernel_id,
                # After a restart the clients of the old kernel find the new one where it was.
                prefix=self._prefix,
                key=key.decode(),
                env=self._variables(given, environment),
                cwd=self._cwd,
                note=self._note,
                outlives=self.outlives,
            )
        if self._prefix and hasattr(self.parent, "execution_state"):
            # The one before it may have died in a cell, and would be called busy for ever.
            _call_idle_when_ready(self.parent)
        self._prefix = kernel.prefix
        self._running = True
        self._following = asyncio.ensure_future(self._follow(link, directory))
        if self._shut_down or getattr(self.parent, "shutting_down", False):
            await self.kill()
            self._refuse_after_shutdown()
        self.connection_info = self._info(key)
        return self.connection_info

    def adopt(self, link: AgentLink, directory: Path, kernel: HeldKernel) -> KernelConnectionInfo:
        """Look after a kernel that an earlier process has started; return its sockets.

        Args:
            link: It has taken hold of the kernel, and belongs to this provisioner from now on.
        """
        self._link, self._directory = link, directory
        self._prefix, self._note = kernel.process.prefix, dict(kernel.note)
        self._cwd = str(kernel.note.get("inside", ""))
        self._running = self.adopted = True
        self._following = asyncio.ensure_future(self._follow(link, directory))
        self.connection_info = self._info(kernel.key.encode())
        return self.connection_info

    async def remember(self, **noted: Any) -> None:
        """Have the agent keep something for whoever adopts the kernel.

        Raises:
            AgentError
        """
        self._note.update(noted)
        if self._link is not None and self._running:
            await self._link.hold(self.kernel_id, note=self._note, outlives=self.outlives)

    async def let_go(self) -> None:
        """Leave the kernel running, for the next process that looks after it."""
        self._running = False
        await self._release()

    async def poll(self) -> int | None:
        """Return the exit code of an ended kernel; ``None`` while it runs or nobody can know.

        Awaits nothing: the restarter does not look whether the kernel was shut down during
        a poll, and would start it again.
        """
        if self._running and self._ended is None:
            return None
        return 0 if self._ended is None else self._ended.exit_code

    async def wait(self) -> int | None:
        """Wait for the kernel's end.  Called with a limit, while a kernel is shut down."""
        if self._following is not None:
            await asyncio.shield(self._following)
        self._running = False
        return await self.poll()

    async def send_signal(self, signum: int) -> None:
        """Signal the kernel and its children.

        Never raises: an exception here would keep a kernel from ever being shut down.
        """
        if not self._running or self._ended is not None or self._link is None:
            return
        try:
            await self._link.signal(self.kernel_id, signum)
        except DlenvError as error:
            self.log.warning("Kernel %s could not be signalled: %s", self.kernel_id, error)

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: ARG002 - the same
        """Wait a moment for the end of a kernel that was asked to end.

        The manager would look only every 100 ms whether it has, and we are told.
        """
        if self._following is not None:
            await asyncio.wait([self._following], timeout=_POLITE_END)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002 - often wrong; see cleanup
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:  # noqa: ARG002 - often wrong; see cleanup
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the agent, unless the kernel starts again; the environment stays as it is."""
        if restart:
            return
        await self._release()
        if self._prefix:
            await asyncio.to_thread(forget, self.private_dir, self.kernel_id)

    def resolve_path(self, path: str) -> str | None:
        """Return the host's path of a file inside, so that a traceback can be clicked."""
        if self._observed is None:
            return None
        if path == "~" or path.startswith("~/"):
            path = self._observed.home + path[1:]
        elif not path.startswith("/"):
            path = f"{self._cwd}/{path}"
        return to_host(path, self._observed.spec.mounts) or None

    async def _release(self) -> None:
        self._shut_down = True
        if self._following is not None:
            self._following.cancel()
        if self._link is not None:
            link, self._link = self._link, None
            await link.aclose()

    async def _look(self) -> Environment:
        configuration = await asyncio.to_thread(Configuration.load, parent=self.parent)
        async with contextlib.aclosing(configuration.open(self.engine)) as environments:
            return await environments.get(self.environment)

    async def _running_environment(self) -> Environment:
        configuration = await asyncio.to_thread(Configuration.load, parent=self.parent)
        environments = configuration.open(self.engine)
        try:
            return await running_environment(environments, self.environment)
        finally:
            await environments.aclose()

    async def _connected(self, directory: Path) -> AgentLink:
        if self._link is None or self._link.closed.done():
            self._link = await AgentLink.connect(directory, timeout=_LINK_TIMEOUT)
        return self._link

    async def _follow(self, link: AgentLink, directory: Path) -> None:
        """Return when the kernel has ended; keep asking as long as nobody can tell."""
        ended = link.exited(self.kernel_id)
        while True:
            news: list[asyncio.Future[Any]] = [ended, link.closed]
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                self._conclude(ended.result(), self._explain(ended.result()))
                return
            try:
                link = self._link = await AgentLink.connect(directory, timeout=_LINK_TIMEOUT)
                ended = link.exited(self.kernel_id)
                if not await self._still_runs(link):
                    break
                await link.hold(self.kernel_id, note=self._note, outlives=self.outlives)
            except AgentUnreachableError as error:
                if nobody_listens(error) and not await self._can_come_back():
                    break
                # Unreachable is not dead.
                await asyncio.sleep(_RETRY_INTERVAL)
            except AgentError as error:
                self.log.warning("Kernel %s: %s", self.kernel_id, error)
        self._conclude(_GONE, await self._explain_environment() if self._unexpected else None)

    async def _can_come_back(self) -> bool:
        """Tell whether it was not the agent that ended, but what carried its sockets to here."""
        if not (self.private_dir / TUNNEL_LOCK).exists():
            return False
        configuration = await asyncio.to_thread(Configuration.load, parent=self.parent)
        async with contextlib.aclosing(configuration.open(self.engine)) as environments:
            return await reached_again(environments, self.environment)

    @property
    def _unexpected(self) -> bool:
        return not (self._shut_down or getattr(self.parent, "shutting_down", False))

    def _explain(self, ended: KernelExit) -> LastExit:
        return explain_kernel(ended, kernel_id=self.kernel_id, environment=self.environment)

    async def _explain_environment(self) -> LastExit:
        found, engine_error = None, ""
        try:
            found = await asyncio.wait_for(self._look(), _EXPLAIN_TIMEOUT)
        except EnvironmentNotFoundError:
            pass
        except (DlenvError, asyncio.TimeoutError) as error:
            engine_error = str(error) or "The engine does not answer."
        return explain_environment(
            found,
            kernel_id=self.kernel_id,
            environment=self.environment,
            engine_error=engine_error,
        )

    def _conclude(self, ended: KernelExit, why: LastExit | None) -> None:
        self._ended = ended
        if why is None or not self._unexpected:
            return
        self.last_exit = why
        self.log.warning("Kernel %s: %s %s", self.kernel_id, why.message, why.log)
        # Not awaited here: a restart waits for the end of what follows the kernel.
        self._telling = asyncio.ensure_future(self._tell(why))

    async def _tell(self, why: LastExit) -> None:
        """Tell Jupyter at once what it would find out some seconds later, and not why."""
        emit = getattr(self.parent, "emit", None)
        if emit is not None:
            emit(schema_id=KERNEL_EXIT, data=why.to_event())
        restarter: Any = getattr(self.parent, "_restarter", None)
        # It polls only between the end of one start and the beginning of the next.
        if getattr(restarter, "_pcallback", None) is None:
            return
        try:
            if not why.of_environment:
                await restarter.poll()
                return
        except Exception as error:  # noqa: BLE001 - the edge of a background task
            self.log.warning("Kernel %s cannot start again: %s", self.kernel_id, error)
        # A restart would start the environment that somebody has just stopped.
        restarter.stop()
        restarter._fire_callbacks("dead")  # noqa: SLF001 - there is no public way
        await self.cleanup()

    async def _still_runs(self, link: AgentLink) -> bool:
        # A new agent knows nothing of it: the environment was restarted, and the kernel is gone.
        return any(
            kernel["kernel_id"] == self.kernel_id and kernel["exit_code"] is None
            for kernel in await link.kernels()
        )

    def _key(self) -> bytes:
        """Return the key of the manager's session, which its clients keep over a restart."""
        session = getattr(self.parent, "session", None)
        return getattr(session, "key", b"") or secrets.token_hex(32).encode()

    def _variables(self, given: dict[str, str], environment: Environment) -> dict[str, str]:
        # As they are written: their ${NAME} would be filled with the server's values.
        return {**surroundings.variables(given, environment), **self.kernel_spec.env}

    def _info(self, key: bytes) -> KernelConnectionInfo:
        return {
            "transport": "ipc",
            "ip": str(self._directory / self._prefix),
            # Bytes: the manager compares it with the key of its own session object.
            "key": key,  # type: ignore[typeddict-item]  # typed as str, compared as bytes
            "signature_scheme": "hmac-sha256",
            "shell_port": 1,
            "iopub_port": 2,
            "stdin_port": 3,
            "control_port": 4,
            "hb_port": 5,
        }

    def _refuse_after_shutdown(self) -> None:
        """The restarter may find a kernel dead that the user has just shut down."""
        if self._shut_down or getattr(self.parent, "shutting_down", False):
            raise KernelStartError("The kernel has been shut down.")


def _call_idle_when_ready(manager: Any) -> None:
    """Not before: Jupyter fails if it is asked to end a kernel that it is still starting."""
    manager.execution_state = "starting"

    def call(ready: Any) -> None:
        has_started = not ready.cancelled() and ready.exception() is None
        # Somebody may have had it do something since.
        if has_started and manager.execution_state == "starting":
            manager.execution_state = "idle"

    manager.ready.add_done_callback(call)
