"""A new container for an environment: other GPUs, and the same name, home, mounts and ports.

A container cannot be given other GPUs.  So a second one is made beside it, and takes its name
when it answers.  Until then nothing of the first one is touched but that it is stopped; whoever
lists environments after this was killed in the middle puts things in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from pathlib import Path

from .access.ssh import SshAccess
from .engines.base import ContainerState, Engine, EngineFacts, SupportsImages
from .engines.completion import undisturbed
from .errors import ContainerNameTakenError, ContainerNotFoundError, NameTakenError
from .gpus.leases import GpuLeases
from .images.prepare import PreparedImage, prepare_image
from .kernels.kernelspecs import KernelSpecs
from .labels import LAUNCHER, OWNER
from .launcher import own_identity
from .making import Making, wish_of
from .models import Environment, EnvironmentSpec, Phase, Progress, Status
from .obtain import ReportProgress
from .plan import container_name, is_replaced, replaced_name
from .runtime_dirs import RuntimeDirs

_log = logging.getLogger(__name__)
_STOP_TIMEOUT = 10.0


class Recreating:
    """Makes the containers of environments anew."""

    def __init__(
        self,
        engine: Engine,
        making: Making,
        leases: GpuLeases,
        runtime_dirs: RuntimeDirs,
        kernelspecs: KernelSpecs,
        ssh: SshAccess,
        *,
        cache_dir: Path,
    ) -> None:
        self._engine = engine
        self._making = making
        self._leases = leases
        self._runtime_dirs = runtime_dirs
        self._kernelspecs = kernelspecs
        self._ssh = ssh
        self._cache_dir = cache_dir

    async def recreate(
        self,
        old: Environment,
        spec: EnvironmentSpec,
        facts: EngineFacts,
        *,
        holding: AbstractAsyncContextManager[str],
        report: ReportProgress,
    ) -> None:
        """Replace the container of an environment; when this fails, it is stopped and complete.

        Args:
            spec: With the same name.
            holding: Holds its GPUs while neither container does, and says what holds them.
        """
        running = old.status is Status.RUNNING
        if running and not spec.gpus.wants_none:
            # Its kernels should not end for nothing.
            wish = wish_of(spec, old.image_id, own=(old.container_id,))
            await self._leases.check(wish, freed=old.gpu_uuids)
        report(Progress(phase=Phase.PREPARING, message="Looking into the image"))
        prepared = await self._prepared(old)
        report(Progress(phase=Phase.CREATING, message=spec.name))
        name = container_name(old.owner, old.name)
        async with AsyncExitStack() as undo:
            # What a stopped one had may be others' by now.
            async with holding if running else nullcontext("") as hold:
                if running:
                    await self._engine.stop(old.container_id, timeout=_STOP_TIMEOUT)
                own = (old.container_id, hold)
                container_id = await self._making.make(
                    spec, facts, prepared, undo=undo, report=report, old=old, own=own
                )
            undo.push_async_callback(undisturbed, self._engine.rename, old.container_id, name)
            await self._engine.rename(old.container_id, replaced_name(old.owner, old.name))
            try:
                await self._engine.rename(container_id, name)
            except ContainerNameTakenError as error:
                raise NameTakenError(
                    f"Somebody else re-creates {old.name!r} at the same time.", detail=error.detail
                ) from error
            undo.pop_all()
        # Its home belongs to the new one now.
        await self._engine.remove(old.container_id)
        await asyncio.to_thread(self._runtime_dirs.discard, Path(old.runtime_dir))
        await asyncio.to_thread(self._ssh.discard, old.id)

    async def _prepared(self, old: Environment) -> PreparedImage | None:
        """Return the very image that runs now: its tag may mean another one meanwhile."""
        if not isinstance(self._engine, SupportsImages):
            return None
        return await prepare_image(
            self._engine,
            await self._engine.inspect_image(old.image_id),
            labels={OWNER: old.owner, LAUNCHER: own_identity()},
            cache_dir=self._cache_dir,
            report=lambda _: None,
        )


async def settle(engine: Engine, states: Sequence[ContainerState]) -> bool:
    """End what a re-creation has left that was killed between two names; tell if there was any.

    Args:
        states: All containers of one owner.
    """
    names = {state.name for state in states}
    replaced = [state for state in states if is_replaced(state.name)]
    for state in replaced:
        name = state.name.rpartition(".")[0]
        _log.warning("Settling the re-creation of %s, which was not completed", name)
        if name in names:
            await engine.remove(state.id)
            continue
        try:
            await engine.rename(state.id, name)
        except (ContainerNameTakenError, ContainerNotFoundError):
            # It was completed this moment.
            continue
    return bool(replaced)
