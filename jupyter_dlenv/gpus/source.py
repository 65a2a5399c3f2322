"""The GPUs of the machine that an engine runs on, and which of them this server may give."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence

from ..engines.base import Engine
from ..here import in_container
from .fence import fence
from .inventory import DriverState, Inventory
from .nvml import NvmlReader
from .poller import GpuPoller, Reader
from .remote import read_remote

#: A look at another machine takes a container and some seconds.
_REMOTE_SECONDS = 5.0


class GpuSource:
    """Reads the GPUs of an engine's machine; the driver is opened by the first who looks.

    Args:
        owner: On whose behalf another machine is looked at.
        allowed: The administrator's list of GPUs.
        reader: Reads the GPUs of this machine.
        contained: Whether this process may see less of the machine than the engine does.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        owner: str,
        allowed: Sequence[str] = ("all",),
        reader: Callable[[], Reader] = NvmlReader,
        contained: bool | None = None,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._allowed = allowed
        self._reader = reader
        self._contained = in_container() if contained is None else contained
        self._poller: GpuPoller | None = None
        self._remote = Inventory()
        self._looking = asyncio.Lock()

    async def read(self, *, image: str = "") -> Inventory:
        """Return the GPUs as they are now; those of another machine as of some seconds ago.

        Args:
            image: One that the engine has, to look at another machine with; by default any.
        """
        facts = await self._engine.probe()
        if facts.local:
            here = await self.read_here()
            # Jupyter in a container with the engine's socket: the driver was not given to it.
            hidden = self._contained and here.driver_state is DriverState.MISSING
            if not (hidden and facts.gpu_runtime):
                return here
        async with self._looking:
            if time.time() - self._remote.taken > _REMOTE_SECONDS:
                self._remote = await read_remote(self._engine, owner=self._owner, image=image)
            return self._remote

    async def read_here(self) -> Inventory:
        """Return the GPUs of this machine, whatever the engine is."""
        if self._poller is None:
            self._poller = GpuPoller(self._reader())
        return await self._poller.read()

    async def fenced(self, inventory: Inventory) -> dict[str, str]:
        """Return why, by UUID, for GPUs that this server must leave alone."""
        local = (await self._engine.probe()).local
        # Variables of this process say nothing of another machine.
        environ: Mapping[str, str] = os.environ if local else {}
        return fence(inventory, environ, self._allowed)

    async def aclose(self) -> None:
        """Let the driver go."""
        poller, self._poller = self._poller, None
        if poller is not None:
            await poller.aclose()
