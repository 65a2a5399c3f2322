"""The container of an environment, from nothing to an agent that answers in it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from .engines.base import ContainerPlan, ContainerState, Engine, EngineFacts
from .engines.completion import to_its_end, undisturbed
from .errors import ContainerNameTakenError, DlenvError, EnvironmentDiedError, NameTakenError
from .gpus.leases import GpuLeases, Wish
from .gpus.line import PlaceInLine
from .gpus.sight import look_inside, trouble
from .images.prepare import PreparedImage
from .kernels.link import AgentLink
from .labels import ID, EnvironmentLabels, gpus_of
from .launcher import own_identity
from .models import EnvironmentSpec, Phase, Progress
from .obtain import ReportProgress
from .plan import (
    Caller,
    environment_home,
    environment_python,
    image_container,
    process_container,
    process_user,
)
from .runtime_dirs import RuntimeDirs

#: An image's entrypoint may check GPUs and print for a while before the agent starts.
AGENT_TIMEOUT = 120.0


class Making:
    """Makes the containers of one owner's environments on one engine."""

    def __init__(
        self,
        engine: Engine,
        leases: GpuLeases,
        runtime_dirs: RuntimeDirs,
        *,
        owner: str,
        caller: Caller,
    ) -> None:
        self._engine = engine
        self._leases = leases
        self._runtime_dirs = runtime_dirs
        self._owner = owner
        self._caller = caller

    async def make(
        self,
        spec: EnvironmentSpec,
        facts: EngineFacts,
        prepared: PreparedImage | None,
        *,
        undo: AsyncExitStack,
        report: ReportProgress,
        own: tuple[str, ...] = (),
        line: PlaceInLine | None = None,
    ) -> str:
        """Make and start a container, wait until its agent answers, and return its id.

        It has the name of an unfinished launch until the caller renames it.

        Args:
            undo: Is told, step by step, how all of it is removed again.
            own: Ids of containers that this one takes the place of: it may have their GPUs.
            line: Wait in line until there are enough GPUs.

        Raises:
            NoFreeGpuError, GpuMismatchError, NameTakenError, EnvironmentDiedError, EngineError
        """
        labels = self._new_labels(spec, prepared)
        sockets = Path(labels.runtime_dir)
        undo.push_async_callback(
            undisturbed, asyncio.to_thread, self._runtime_dirs.discard, sockets
        )
        making = asyncio.to_thread(self._runtime_dirs.make, sockets, engine_id=facts.id)
        await to_its_end(making)

        def plan(gpus: tuple[str, ...]) -> ContainerPlan:
            return self._plan(spec, facts, replace(labels, gpus=gpus), prepared)

        def made(container_id: str) -> None:
            undo.push_async_callback(
                undisturbed, self._engine.remove, container_id, volumes={ID: labels.id}
            )

        def waiting(words: str) -> None:
            report(Progress(phase=Phase.WAITING, message=words))

        try:
            if spec.gpus.wants_none:
                container_id = await self._engine.create(plan(()))
                made(container_id)
            else:
                wish = wish_of(spec, prepared.image_id if prepared else spec.image, own=own)
                container_id = await self._leases.create(
                    wish, plan, made=made, line=line, report=waiting
                )
        except ContainerNameTakenError as error:
            raise NameTakenError(
                f"Another launch of {spec.name!r} is under way.", detail=error.detail
            ) from error
        report(Progress(phase=Phase.STARTING, message="Waiting for the environment to answer"))
        await self._engine.start(container_id)
        await agent_answers(self._engine, container_id, sockets)
        await self._check_gpus(spec.name, facts, container_id)
        return container_id

    async def _check_gpus(self, name: str, facts: EngineFacts, container_id: str) -> None:
        """Compare what the container sees with what it was given, on machines with GPUs.

        Raises:
            GpuMismatchError, GpuLostError
        """
        if not (facts.isolated and facts.gpu_runtime):
            return
        state = await self._engine.inspect(container_id)
        sight = await look_inside(self._engine, container_id)
        if sight is not None and (error := trouble(name, gpus_of(state.labels), sight)):
            raise error

    def _new_labels(
        self, spec: EnvironmentSpec, prepared: PreparedImage | None
    ) -> EnvironmentLabels:
        environment_id = secrets.token_hex(5)
        return EnvironmentLabels(
            id=environment_id,
            owner=self._owner,
            spec=spec,
            launcher=own_identity(),
            runtime_dir=str(self._runtime_dirs.path(environment_id)),
            home=environment_home(spec, prepared=prepared),
            python=environment_python(prepared),
        )

    def _plan(
        self,
        spec: EnvironmentSpec,
        facts: EngineFacts,
        labels: EnvironmentLabels,
        prepared: PreparedImage | None,
    ) -> ContainerPlan:
        if prepared is None:
            return process_container(spec, labels=labels)
        return image_container(
            spec,
            labels=labels,
            prepared=prepared,
            user=process_user(spec, self._caller, facts),
            caller=self._caller,
        )


def wish_of(spec: EnvironmentSpec, image: str, *, own: tuple[str, ...] = ()) -> Wish:
    """Return the GPUs that a spec wants.

    Args:
        image: One that the engine has.
        own: Ids of containers whose place the new one takes.
    """
    return Wish(name=spec.name, request=spec.gpus, shared=spec.shared, image=image, own=own)


async def agent_answers(engine: Engine, container_id: str, directory: Path) -> None:
    """Wait until the agent answers; the end of the container ends the wait.

    Raises:
        EnvironmentDiedError: Its last words are in ``detail``.
        AgentUnreachableError: It runs, and is silent.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + AGENT_TIMEOUT
    while True:
        try:
            link = await AgentLink.connect(directory, timeout=1)
        except DlenvError as error:
            state = await engine.inspect(container_id)
            if state.state != "running":
                raise EnvironmentDiedError(
                    f"The environment ended at once (exit code {state.exit_code}).",
                    detail=await _last_words(engine, container_id, state),
                ) from error
            if loop.time() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            await link.aclose()
            return


async def _last_words(engine: Engine, container_id: str, state: ContainerState) -> str:
    chunks = [chunk async for chunk in engine.logs(container_id, tail=30)]
    return "\n".join(filter(None, [state.error, b"".join(chunks).decode(errors="replace")]))
