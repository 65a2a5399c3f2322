"""Environments for programs with an event loop: ``from jupyter_dlenv import aio``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from . import api
from .access.connect import ConnectionSheet
from .models import Environment, PortMapping, Progress, Status

__all__ = ["AsyncEnvironmentHandle", "environments", "get", "launch"]


class AsyncEnvironmentHandle:
    """One environment, and a kernel in it; the methods are those of ``EnvironmentHandle``."""

    def __init__(self, handle: api.EnvironmentHandle) -> None:
        self._handle = handle
        # A kernel is spoken to by one thread at a time.
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> AsyncEnvironmentHandle:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._handle.__exit__, kind, error, traceback)

    @property
    def environment(self) -> Environment:
        return self._handle.environment

    @property
    def name(self) -> str:
        return self._handle.name

    @property
    def ports(self) -> tuple[PortMapping, ...]:
        return self._handle.ports

    @property
    def status(self) -> Status:
        return self._handle.status

    async def connection(self) -> ConnectionSheet:
        """Return all ways into it: ssh, editors, ports, with the lines to copy."""
        return await asyncio.to_thread(lambda: self._handle.connection)

    async def ssh_command(self) -> str:
        """Return the line that opens a shell in it over SSH."""
        return await asyncio.to_thread(lambda: self._handle.ssh_command)

    async def refresh(self) -> Environment:
        """Look again."""
        return await asyncio.to_thread(self._handle.refresh)

    async def start(self) -> Environment:
        """Start it; a running one is only waited for."""
        return await asyncio.to_thread(self._handle.start)

    async def stop(self) -> Environment:
        """Stop it: files and what was installed are kept."""
        return await asyncio.to_thread(self._handle.stop)

    async def remove(self) -> None:
        """Remove it, with all that was installed."""
        await asyncio.to_thread(self._handle.remove)

    async def run(
        self,
        code: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] = (),
        pickled: bool = False,
    ) -> api.RunResult:
        """Run code in the environment's kernel; cancelling interrupts it.

        Raises:
            CellFailedError: With the traceback in the environment.
        """
        async with self._turn:
            running = asyncio.ensure_future(
                asyncio.to_thread(
                    self._handle.run, code, inputs=inputs, outputs=outputs, pickled=pickled
                )
            )
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.to_thread(self._handle.interrupt)
                await asyncio.wait({running})
                # Its KeyboardInterrupt has been seen.
                running.exception()
                raise

    async def close(self) -> None:
        """End the kernel of ``run``."""
        await asyncio.to_thread(self._handle.close)


async def launch(
    image: str,
    *,
    name: str = "",
    mount_here: bool = True,
    build_dir: str = "",
    keep: bool = False,
    engine: str = "",
    authorize: Sequence[str] = (),
    wait_for_gpus: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
    **wanted: Any,
) -> AsyncEnvironmentHandle:
    """Launch an environment and return it when code can run in it.

    Args:
        image: As for ``docker pull``.
        name: By default one that is made from the image.
        mount_here: See the current directory at the same path inside.
        build_dir: Build the image from the Dockerfile there.
        keep: Do not remove it at the end of the ``async with`` block.
        engine: A name or URL; empty is the configured one.
        authorize: Public keys that SSH lets in, besides those that it lets in anyway.
        wait_for_gpus: In line, if too few are free.
        report: Hears how far it is.
        wanted: Fields of ``EnvironmentSpec``, as JSON has them: ``gpus=2``,
            ``mounts=["/data:/data:ro"]``, ``ports=["6006:6006"]``, ``env={"K": "V"}``,
            ``shm_size="8g"``, ``user="caller"``, ``workdir="/data"``, ``ulimits=["memlock=-1"]``.

    Raises:
        DlenvError: With what to try in ``hint``.
    """
    handle = await api.launching(
        image,
        name=name,
        mount_here=mount_here,
        build_dir=build_dir,
        keep=keep,
        engine=engine,
        authorize=authorize,
        wait_for_gpus=wait_for_gpus,
        report=report,
        **wanted,
    )
    return AsyncEnvironmentHandle(handle)


async def get(name: str, *, engine: str = "") -> AsyncEnvironmentHandle:
    """Return an environment that is there already."""
    return AsyncEnvironmentHandle(await asyncio.to_thread(api.get, name, engine=engine))


async def environments(*, engine: str = "") -> tuple[AsyncEnvironmentHandle, ...]:
    """Return all environments of yours."""
    found = await asyncio.to_thread(api.environments, engine=engine)
    return tuple(AsyncEnvironmentHandle(handle) for handle in found)
