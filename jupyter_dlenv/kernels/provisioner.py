"""What Jupyter asks of a kernel process, said to the agent of an environment instead."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Unicode

from ..configuration import Configuration
from ..doctor.diagnoses import explained
from ..errors import AgentError, DlenvError, InternalError, KernelStartError
from ..models import Environment, Status
from . import surroundings
from .link import AgentLink, KernelExit, nobody_listens
from .paths import to_host

_log = logging.getLogger(__name__)

_LINK_TIMEOUT = 10.0
_RETRY_INTERVAL = 1.0
_GONE = KernelExit(exit_code=-signal.SIGKILL, signal=signal.SIGKILL, log="")


class DlenvProvisioner(KernelProvisionerBase):
    """Runs a kernel in an environment; the environment outlives it."""

    environment = Unicode(help="Name of the environment.").tag(config=True)
    engine = Unicode(help="Name or URL of its engine; empty is the default.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The base class has one dictionary for all: keys would leak from kernel to kernel.
        self.connection_info = {}
        self._observed: Environment | None = None
        self._link: AgentLink | None = None
        self._prefix = ""
        self._cwd = ""
        self._running = False
        self._ended: KernelExit | None = None
        self._following: asyncio.Task[None] | None = None
        self._shut_down = False

    @property
    def has_process(self) -> bool:
        return self._running

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make sure that the environment runs.  Called before each launch and restart."""
        self._refuse_after_shutdown()
        with _told_to_the_user():
            self._observed = await self._running_environment()
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002 - the agent knows how
        """Have the agent start a kernel; return the sockets on which it listens already."""
        environment = self._observed
        if environment is None:
            raise KernelStartError("The environment was not looked for before the launch.")
        directory = Path(environment.runtime_dir)
        self._cwd = surroundings.directory(str(kwargs.get("cwd") or ""), environment)
        self._ended = None
        key = self._key()
        with _told_to_the_user():
            link = await self._connected(directory)
            kernel = await link.start_kernel(
                self.kernel_id,
                # After a restart the clients of the old kernel find the new one where it was.
                prefix=self._prefix,
                key=key.decode(),
                env=self._variables(kwargs.get("env") or {}, environment),
                cwd=self._cwd,
            )
        self._prefix = kernel.prefix
        self._running = True
        self._following = asyncio.ensure_future(self._follow(link, directory))
        if self._shut_down or getattr(self.parent, "shutting_down", False):
            await self.kill()
            self._refuse_after_shutdown()
        self.connection_info = {
            "transport": "ipc",
            "ip": str(directory / kernel.prefix),
            # Bytes: the manager compares it with the key of its own session object.
            "key": key,  # type: ignore[typeddict-item]  # typed as str, compared as bytes
            "signature_scheme": "hmac-sha256",
            "shell_port": 1,
            "iopub_port": 2,
            "stdin_port": 3,
            "control_port": 4,
            "hb_port": 5,
        }
        return self.connection_info

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

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002 - often wrong; see cleanup
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:  # noqa: ARG002 - often wrong; see cleanup
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the agent, unless the kernel starts again; the environment stays as it is."""
        if restart:
            return
        self._shut_down = True
        if self._following is not None:
            self._following.cancel()
        if self._link is not None:
            link, self._link = self._link, None
            await link.aclose()

    def resolve_path(self, path: str) -> str | None:
        """Return the host's path of a file inside, so that a traceback can be clicked."""
        if self._observed is None:
            return None
        if path == "~" or path.startswith("~/"):
            path = self._observed.home + path[1:]
        elif not path.startswith("/"):
            path = f"{self._cwd}/{path}"
        return to_host(path, self._observed.spec.mounts) or None

    async def _running_environment(self) -> Environment:
        configuration = await asyncio.to_thread(Configuration.load, parent=self.parent)
        environments = configuration.open(self.engine)
        try:
            environment = await environments.get(self.environment)
            if environment.status is Status.RUNNING:
                return environment
            return await environments.start(self.environment)
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
                self._ended = ended.result()
                break
            try:
                link = self._link = await AgentLink.connect(directory, timeout=_LINK_TIMEOUT)
                ended = link.exited(self.kernel_id)
                if not await self._still_runs(link):
                    self._ended = _GONE
                    break
            except AgentError as error:
                if nobody_listens(error):
                    self._ended = _GONE
                    break
                # Unreachable is not dead.
                await asyncio.sleep(_RETRY_INTERVAL)
        if self._ended.exit_code:
            self.log.warning(
                "Kernel %s ended with code %d. %s",
                self.kernel_id,
                self._ended.exit_code,
                self._ended.log,
            )

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

    def _refuse_after_shutdown(self) -> None:
        """The restarter may find a kernel dead that the user has just shut down."""
        if self._shut_down or getattr(self.parent, "shutting_down", False):
            raise KernelStartError("The kernel has been shut down.")


@contextlib.contextmanager
def _told_to_the_user() -> Any:
    """Put all there is to say into the text of the error: Jupyter shows nothing else."""
    try:
        yield
    except DlenvError as error:
        better = explained(error)
        text = "\n".join(filter(None, (f"{better} {better.hint}", better.detail)))
        raise KernelStartError(text, hint=better.hint, detail=better.detail) from error
    except Exception as error:
        _log.exception("A kernel could not be started")
        said = InternalError("The kernel could not be started, by an error of jupyter_dlenv's own.")
        raise KernelStartError(f"{said} {said.hint}", hint=said.hint) from error
