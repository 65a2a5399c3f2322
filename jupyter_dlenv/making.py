"""The container of an environment, from nothing to an agent that answers in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from . import tunnel
from .access.ssh import SshAccess
from .answering import agent_link
from .engines.base import ContainerPlan, Engine, EngineFacts, SupportsImages, SupportsSocketMounts
from .engines.completion import to_its_end, undisturbed
from .errors import (
    ContainerNameTakenError,
    ContainerNotFoundError,
    NameTakenError,
    PortTakenError,
)
from .gpus.leases import CreateContainer, GpuLeases, Wish
from .gpus.line import PlaceInLine
from .gpus.sight import look_inside, trouble
from .images.prepare import PreparedImage
from .kernels.warmth import Warmth
from .labels import ID, EnvironmentLabels, gpus_of
from .launcher import own_identity
from .models import Environment, EnvironmentSpec, Phase, Progress
from .observe import observe
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What a container is made from, but for its GPUs and the port of SSH."""

    spec: EnvironmentSpec
    facts: EngineFacts
    labels: EnvironmentLabels
    prepared: PreparedImage | None
    old: Environment | None


class Making:
    """Makes the containers of one owner's environments on one engine."""

    def __init__(
        self,
        engine: Engine,
        leases: GpuLeases,
        runtime_dirs: RuntimeDirs,
        ssh: SshAccess,
        *,
        owner: str,
        caller: Caller,
        warmth: Warmth,
        idle_minutes: Callable[[float | None], float],
        streamed: bool,
    ) -> None:
        self._engine = engine
        self._leases = leases
        self._runtime_dirs = runtime_dirs
        self._ssh = ssh
        self._owner = owner
        self._caller = caller
        self._warmth = warmth
        self._idle_minutes = idle_minutes
        self._streamed = streamed

    async def make(
        self,
        spec: EnvironmentSpec,
        facts: EngineFacts,
        prepared: PreparedImage | None,
        *,
        undo: AsyncExitStack,
        report: ReportProgress,
        old: Environment | None = None,
        own: tuple[str, ...] = (),
        line: PlaceInLine | None = None,
        let_in: tuple[str, ...] = (),
    ) -> str:
        """Make and start a container, wait until its agent answers, and return its id.

        It has the name of an unfinished launch until the caller renames it.

        Args:
            undo: Is told, step by step, how all of it is removed again.
            old: Takes its place, and keeps its SSH keys and port.
            own: Ids of containers that this one takes the place of: it may have their GPUs.
            line: Wait in line until there are enough GPUs.
            let_in: Clean public keys for its SSH server.

        Raises:
            NoFreeGpuError, GpuMismatchError, NameTakenError, EnvironmentDiedError, EngineError
        """
        draft = _Draft(
            spec=spec,
            facts=facts,
            prepared=prepared,
            old=old,
            labels=self._new_labels(spec, prepared),
        )
        environment_id = draft.labels.id
        sockets = Path(draft.labels.runtime_dir)
        undo.push_async_callback(
            undisturbed, asyncio.to_thread, self._runtime_dirs.discard, sockets
        )
        await to_its_end(asyncio.to_thread(self._runtime_dirs.make, sockets, engine_id=facts.id))
        undo.push_async_callback(undisturbed, asyncio.to_thread, self._ssh.discard, environment_id)
        await to_its_end(
            self._ssh.make_keys(
                environment_id,
                name=spec.name,
                engine_id=facts.id,
                like=old.id if old else "",
                let_in=let_in,
            )
        )

        def made(container_id: str) -> None:
            undo.push_async_callback(
                undisturbed, self._engine.remove, container_id, volumes={ID: environment_id}
            )

        def waiting(words: str) -> None:
            report(Progress(phase=Phase.WAITING, message=words))

        refused: set[int] = set()
        while True:
            create = partial(self._create, draft, refused)
            container_id = await self._with_gpus(
                draft, create, made=made, own=own, line=line, report=waiting
            )
            report(Progress(phase=Phase.STARTING, message="Waiting for the environment to answer"))
            try:
                await self._engine.start(container_id)
            except PortTakenError as error:
                port = (await self._observed(container_id)).ssh_port
                if not error.blames(port):
                    raise
                # Somebody has taken the port of SSH in between.
                refused.add(port)
                await self._engine.remove(container_id, volumes={ID: environment_id})
            else:
                break
        await self.ready(await self._observed(container_id))
        await self._check_gpus(spec.name, facts, container_id)
        return container_id

    async def ready(self, environment: Environment) -> None:
        """Wait until the agent of a container answers, and tell it what it is to do by itself."""
        directory = Path(environment.runtime_dir)
        await self.reach(environment)
        link = await agent_link(self._engine, environment.container_id, directory)
        try:
            isolated = (await self._engine.probe()).isolated
            # At each start: the rules may have changed meanwhile.
            limit = 60 * self._idle_minutes(environment.spec.idle_stop)
            await link.stop_when_idle(limit, own_system=isolated)
            await self._ssh.open(environment, link, owner=self._owner, isolated=isolated)
        finally:
            await link.aclose()

    async def reach(self, environment: Environment) -> None:
        """Make sure that the sockets of a running environment are on this machine."""
        if environment.streamed:
            facts = await self._engine.probe()
            await asyncio.to_thread(
                tunnel.ensure,
                self._engine.address,
                environment.container_id,
                Path(environment.runtime_dir),
                python=environment.python,
                user=process_user(environment.spec, self._caller, facts),
            )

    async def _with_gpus(
        self,
        draft: _Draft,
        create: CreateContainer,
        *,
        made: Callable[[str], None],
        own: tuple[str, ...],
        line: PlaceInLine | None,
        report: Callable[[str], None],
    ) -> str:
        spec, prepared = draft.spec, draft.prepared
        try:
            if spec.gpus.wants_none:
                container_id = await create(())
                made(container_id)
                return container_id
            wish = wish_of(spec, prepared.image_id if prepared else spec.image, own=own)
            return await self._leases.create(wish, create, made=made, line=line, report=report)
        except ContainerNameTakenError as error:
            raise NameTakenError(
                f"Another launch of {spec.name!r} is under way.", detail=error.detail
            ) from error

    async def _create(self, draft: _Draft, refused: set[int], gpus: tuple[str, ...]) -> str:
        plan = self._plan(draft, gpus)
        ports, prepared = self._ssh.ports, draft.prepared
        if ports is None or prepared is None or not prepared.probe.sshd:
            return await self._engine.create(plan)
        kept = draft.old.ssh_port if draft.old else 0
        async with ports.choice(self._engine, plan, refused=refused, kept=kept) as chosen:
            return await self._engine.create(chosen)

    async def _observed(self, container_id: str) -> Environment:
        state = await self._engine.inspect(container_id)
        environment = observe(
            state, owner=self._owner, engine=self._engine.name, runtime_dirs=self._runtime_dirs
        )
        if environment is None:
            raise ContainerNotFoundError("The container was exchanged while it started.")
        return environment

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
            streamed=isinstance(self._engine, SupportsImages)
            and (self._streamed or not self._shares_sockets()),
        )

    def _shares_sockets(self) -> bool:
        return isinstance(self._engine, SupportsSocketMounts) and self._engine.shares_sockets()

    def _plan(self, draft: _Draft, gpus: tuple[str, ...]) -> ContainerPlan:
        spec, labels = self._warmth.applied_to(draft.spec), replace(draft.labels, gpus=gpus)
        if draft.prepared is None:
            return process_container(spec, labels=labels)
        return image_container(
            spec,
            labels=labels,
            prepared=draft.prepared,
            user=process_user(spec, self._caller, draft.facts),
            caller=self._caller,
        )


def wish_of(spec: EnvironmentSpec, image: str, *, own: tuple[str, ...] = ()) -> Wish:
    """Return the GPUs that a spec wants.

    Args:
        image: One that the engine has.
        own: Ids of containers whose place the new one takes.
    """
    return Wish(name=spec.name, request=spec.gpus, shared=spec.shared, image=image, own=own)
