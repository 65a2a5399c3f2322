"""The GPUs of the machine that an engine runs on, and which of them this server may give."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from ..engines.base import Engine
from .fence import fence
from .inventory import Inventory
from .nvml import NvmlReader
from .poller import GpuPoller, Reader


class GpuSource:
    """Reads the GPUs of an engine's machine; the driver is opened by the first who looks.

    Args:
        allowed: The administrator's list of GPUs.
        reader: Reads the GPUs of this machine.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        allowed: Sequence[str] = ("all",),
        reader: Callable[[], Reader] = NvmlReader,
    ) -> None:
        self._engine = engine
        self._allowed = allowed
        self._reader = reader
        self._poller: GpuPoller | None = None

    async def read(self) -> Inventory:
        """Return the GPUs as they are now."""
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
