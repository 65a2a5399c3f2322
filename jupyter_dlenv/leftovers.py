"""What launches and re-creations that were killed have left behind, and how it goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from .access.forward_records import ForwardRecords
from .access.keys import SshKeys
from .access.relay import Place
from .engines.base import ContainerState, Engine
from .labels import ID, OWNER
from .models import Environment
from .observe import is_abandoned
from .recreating import settle
from .runtime_dirs import RuntimeDirs

_log = logging.getLogger(__name__)


class Leftovers:
    """Those of one owner on one engine."""

    def __init__(
        self,
        engine: Engine,
        *,
        owner: str,
        runtime_dirs: RuntimeDirs,
        forward_records: ForwardRecords,
        keys: SshKeys,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._runtime_dirs = runtime_dirs
        self._forward_records = forward_records
        self._keys = keys

    async def remaining_containers(self) -> Sequence[ContainerState]:
        """Remove or settle the containers that nobody else will; return all others."""
        states = await self._engine.list({OWNER: self._owner})
        abandoned = [state for state in states if is_abandoned(state)]
        for state in abandoned:
            _log.warning("Removing %s: the process that launched it is gone", state.name)
            await self._engine.remove(state.id, volumes={ID: state.labels.get(ID, "")})
        kept = [state for state in states if state not in abandoned]
        return await self.remaining_containers() if await settle(self._engine, kept) else kept

    async def clear_files(self, environments: Sequence[Environment], *, engine_id: str) -> None:
        """Remove the sockets, keys and forwards of environments that are gone.

        Args:
            environments: All of the owner that there are.
        """
        ids = {environment.id for environment in environments}
        await asyncio.to_thread(self._runtime_dirs.sweep, ids, engine_id=engine_id)
        await asyncio.to_thread(
            self._forward_records.sweep,
            [Place.of(environment) for environment in environments],
            owner=self._owner,
            engine_id=engine_id,
        )
        await asyncio.to_thread(self._keys.sweep, ids, engine_id=engine_id)
