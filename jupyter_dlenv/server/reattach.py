"""Kernels that outlive the server: left running when it stops, found again when it starts.

What is needed to find them is kept by the agent of each environment, in the memory of a
process that lives as long as the kernels.  So nothing can be stale, and it does not matter
how the server ended.  Jupyter has no way to say "this kernel runs already", so some private
names of ``jupyter_server`` and ``jupyter_client`` are used here; ``activity.py`` needs one more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_server._tz import utcnow
from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)
from jupyter_server.utils import import_item
from traitlets.config import Config

from ..errors import AgentError, AgentUnreachableError
from ..kernels.link import AgentLink, HeldKernel, nobody_listens
from ..kernels.provisioner import DlenvProvisioner
from ..kernels.record import fetch
from ..runtime_dirs import RuntimeDirs

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT = 3.0
_RECORD_TIMEOUT = 2.0
_LONGEST_RETRY = 60.0
_KERNEL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_LONGEST_TEXT = 4096


class Reattachment:
    """The kernels of environments on one server, over its end and its next beginning."""

    def __init__(self, serverapp: ServerApp, runtime_dirs: RuntimeDirs) -> None:
        self._serverapp = serverapp
        self._kernels: Any = serverapp.kernel_manager
        self._sessions: Any = serverapp.session_manager
        self._runtime_dirs = runtime_dirs
        self._save_session: Callable[..., Awaitable[Any]] = self._sessions.save_session

    @classmethod
    def is_possible(cls, serverapp: ServerApp) -> bool:
        """Tell whether kernels are managed as we know it: by no gateway, and no foreign class."""
        manager: Any = serverapp.kernel_manager
        return (
            not serverapp.gateway_config.gateway_enabled
            and isinstance(manager, AsyncMappingKernelManager)
            and issubclass(import_item(manager.kernel_manager_class), ServerKernelManager)
        )

    def begin(self) -> None:
        """Have kernels that start from now on outlive the server, with their sessions."""
        if "outlives" not in self._kernels.config.DlenvProvisioner:
            self._kernels.update_config(Config({"DlenvProvisioner": {"outlives": True}}))
        for name in ("save_session", "update_session"):
            setattr(self._sessions, name, self._remembering(getattr(self._sessions, name)))

    async def attach(self) -> bool:
        """Look after every kernel that nobody looks after; tell whether all could be asked."""
        directories = await asyncio.to_thread(self._runtime_dirs.with_agents)
        return all(await asyncio.gather(*map(self._attach_all_in, directories)))

    async def keep_attaching(self) -> None:
        """Try again what could not be asked; what another server holds stays that one's."""
        wait = 1.0
        while not await self.attach():
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_RETRY)

    async def let_go(self) -> None:
        """Leave the kernels running; Jupyter, which ends all that it knows, forgets them."""
        kept = 0
        for kernel_id, manager in list(self._kernels._kernels.items()):
            provisioner = manager.provisioner
            if not isinstance(provisioner, DlenvProvisioner) or not provisioner.outlives:
                continue
            if not provisioner.has_process or await provisioner.poll() is not None:
                continue
            manager.stop_restarter()
            self._kernels.stop_watching_activity(kernel_id)
            self._kernels.stop_buffering(kernel_id)
            self._forget(kernel_id)
            await provisioner.let_go()
            manager._close_control_socket()
            manager.cleanup_connection_file()
            kept += 1
        if kept:
            _log.warning("%d kernels of environments run on", kept)

    async def _attach_all_in(self, directory: Path) -> bool:
        try:
            link = await AgentLink.connect(directory, timeout=_CONNECT_TIMEOUT)
        except AgentError as error:
            # A stopped environment has left its socket, and has no kernels.
            return nobody_listens(error)
        complete = True
        try:
            for kernel in await link.kernels():
                kernel_id = str(kernel.get("kernel_id"))
                free = kernel.get("exit_code") is None and not kernel.get("held", True)
                if free and kernel.get("outlives") and self._is_new(kernel_id):
                    complete &= await self._attach(directory, kernel_id)
        except AgentUnreachableError:
            return False
        finally:
            await link.aclose()
        return complete

    def _is_new(self, kernel_id: str) -> bool:
        return bool(_KERNEL_ID.match(kernel_id)) and kernel_id not in self._kernels

    async def _attach(self, directory: Path, kernel_id: str) -> bool:
        link = None
        try:
            link = await AgentLink.connect(directory, timeout=_CONNECT_TIMEOUT)
            kernel = await link.hold(kernel_id)
            await self._adopt(link, directory, kernel)
        except Exception as error:  # noqa: BLE001 - one kernel must not keep us from the others
            if link is not None:
                await link.aclose()
            _log.warning("Kernel %s cannot be taken over: %s", kernel_id, error)
            return not isinstance(error, AgentUnreachableError)
        return True

    async def _adopt(self, link: AgentLink, directory: Path, kernel: HeldKernel) -> None:
        kernel_id = kernel.process.kernel_id
        manager, _, _ = self._kernels.pre_start_kernel(
            _text(kernel.note.get("kernel_name")), {"kernel_id": kernel_id}
        )
        manager.kernel_id = kernel_id
        provisioner = KernelProvisionerFactory.instance(
            parent=self._kernels
        ).create_provisioner_instance(kernel_id, manager.kernel_spec, parent=manager)
        if not isinstance(provisioner, DlenvProvisioner):
            raise TypeError(f"{manager.kernel_name} is no kernel of an environment")
        try:
            record = await fetch(directory / f"{kernel.process.prefix}-6", timeout=_RECORD_TIMEOUT)
            state = record.state
        except AgentUnreachableError:
            # It computes without looking up.
            state = "busy"
        # The server before us has left it; what is in it would not be read.
        await asyncio.to_thread(Path(manager.connection_file).unlink, missing_ok=True)
        manager.provisioner = provisioner
        info = provisioner.adopt(link, directory, kernel)
        try:
            manager._reconcile_connection_info(info)
            self._register(manager, kernel, state)
            await self._restore_sessions(kernel_id, kernel.note)
        except BaseException:
            self._forget(kernel_id)
            await provisioner.let_go()
            raise
        _log.warning("Kernel %s (%s) runs on", kernel_id, manager.kernel_name)

    def _register(self, manager: Any, kernel: HeldKernel, state: str) -> None:
        kernel_id = kernel.process.kernel_id
        manager._launch_args = _launch_args(kernel)
        manager._attempted_start = True
        manager.ready.set_result(None)
        manager.execution_state, manager.reason = state, ""
        manager.last_activity = utcnow()
        self._kernels._kernels[kernel_id] = manager
        self._kernels._kernel_connections[kernel_id] = 0
        self._kernels._kernel_ports[kernel_id] = manager.ports
        manager._connect_control_socket()
        manager.start_restarter()
        self._kernels.start_watching_activity(kernel_id)
        self._kernels.add_restart_callback(
            kernel_id, lambda: self._kernels._handle_kernel_died(kernel_id), "dead"
        )
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=manager.kernel_name).inc()
        self._kernels.initialize_culler()

    def _forget(self, kernel_id: str) -> None:
        self._kernels.remove_kernel(kernel_id)
        self._kernels._kernel_connections.pop(kernel_id, None)
        self._kernels._kernel_ports.pop(kernel_id, None)

    async def _restore_sessions(self, kernel_id: str, note: Any) -> None:
        rows = note.get("sessions", [])
        before = _text(note.get("root_dir", ""))
        for row in rows if isinstance(rows, list) else []:
            path = self._path_here(_text(row["path"]), before)
            if path is None:
                continue
            await self._save_session(
                _text(row["id"]),
                path=path,
                name=_text(row["name"]),
                type=_text(row["type"]),
                kernel_id=kernel_id,
            )

    def _path_here(self, path: str, before: str) -> str | None:
        """Return a path of an earlier server as one of this server, if it shows the file."""
        now = str(self._serverapp.root_dir)
        if before in ("", now):
            return path
        whole = PurePosixPath(os.path.normpath(os.path.join(before, path)))  # noqa: PTH118
        return str(whole.relative_to(now)) if whole.is_relative_to(now) else None

    def _remembering(self, change: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(change)
        async def changed(*arguments: Any, **named: Any) -> Any:
            result = await change(*arguments, **named)
            try:
                await self._remember_sessions()
            except AgentError as error:
                _log.warning("A session may be lost when the server ends: %s", error)
            return result

        return changed

    async def _remember_sessions(self) -> None:
        by_kernel: dict[str, list[dict[str, str]]] = {}
        for session in await self._sessions.list_sessions():
            row = {key: str(session.get(key) or "") for key in ("id", "path", "name", "type")}
            by_kernel.setdefault(session["kernel"]["id"], []).append(row)
        for kernel_id, manager in list(self._kernels._kernels.items()):
            rows = by_kernel.get(kernel_id, [])
            provisioner = manager.provisioner
            if isinstance(provisioner, DlenvProvisioner) and provisioner.sessions != rows:
                await provisioner.remember(sessions=rows, root_dir=str(self._serverapp.root_dir))


def _launch_args(kernel: HeldKernel) -> dict[str, Any]:
    """Return what the kernel was started with, for its restarts."""
    noted = kernel.note.get("env")
    env = {**os.environ}
    if isinstance(noted, dict):
        env.update({_text(name): _text(value) for name, value in noted.items()})
    arguments: dict[str, Any] = {"env": env}
    if kernel.note.get("cwd"):
        arguments["cwd"] = _text(kernel.note["cwd"])
    return arguments


def _text(value: Any) -> str:
    """Return a text that came from inside an environment."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
        raise ValueError("the note of the kernel is damaged")
    return value
