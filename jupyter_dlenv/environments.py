"""The order of steps by which environments are launched, listed, started, stopped and removed."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from .access.forward_records import ForwardRecords
from .access.ports import taken_meanwhile
from .access.relay import Relay
from .access.ssh import SshAccess, SshSettings
from .engines.base import (
    ContainerState,
    Engine,
    EngineEvent,
    EngineFacts,
    Stream,
)
from .engines.completion import to_its_end
from .errors import (
    ContainerNameTakenError,
    ContainerNotFoundError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    NameTakenError,
    PortTakenError,
)
from .gpu_request import GpuRequest
from .gpus.leases import GpuLeases
from .gpus.line import PlaceInLine
from .gpus.nvml import NvmlReader
from .gpus.poller import Reader
from .gpus.source import GpuSource
from .host import read_host
from .images.catalogue import Catalogue
from .images.library import ImageLibrary
from .kernels.kernelspecs import KernelSpecs
from .kernels.warmth import Warmth
from .labels import OWNER, ROLE
from .leftovers import Leftovers
from .making import Making
from .models import Environment, EnvironmentSpec, Phase, Progress, Status, validate_name
from .observe import observe
from .obtain import ReportProgress, obtain
from .plan import (
    AGENT_TARGET,
    RUNTIME_TARGET,
    Caller,
    container_name,
    process_user,
)
from .policy import Policy
from .possible import check_possible
from .recreating import Recreating
from .runtime_dirs import RuntimeDirs

_STOP_TIMEOUT = 10.0


class Environments:
    """The environments of one owner on one engine.

    Nothing is remembered here: each call asks the engine, so any number of processes
    can hold one of these at the same time and see the same.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        owner: str,
        caller: Caller,
        policy: Policy,
        data_dir: Path,
        runtime_dir: Path,
        gpu_reader: Callable[[], Reader] = NvmlReader,
        catalogue: Catalogue | None = None,
        ssh: SshSettings | None = None,
        warmth: Warmth = Warmth(),  # noqa: B008 - it is frozen
        idle_stop: float = 0.0,
        streamed: bool = False,
    ) -> None:
        self.engine = engine
        self.owner = owner
        #: The GPUs of the engine's machine; the driver is opened by the first who looks.
        self.gpus = GpuSource(engine, owner=owner, allowed=policy.allowed_gpus, reader=gpu_reader)
        self.library = ImageLibrary(
            engine,
            policy=policy,
            read_host=partial(read_host, self.gpus),
            catalogue=catalogue,
        )
        self.kernelspecs = KernelSpecs(data_dir / "kernels")
        self.forward_records = ForwardRecords(data_dir / "forwards")
        self.relay = Relay(engine, self.open_stream, agent=AGENT_TARGET, directory=RUNTIME_TARGET)
        self.ssh = SshAccess(data_dir / "ssh", ssh)
        self.caller = caller
        self.policy = policy
        self._cache_dir = data_dir / "images"
        self._runtime_dirs = RuntimeDirs(runtime_dir)
        self._leftovers = Leftovers(
            engine,
            owner=owner,
            runtime_dirs=self._runtime_dirs,
            forward_records=self.forward_records,
            keys=self.ssh.keys,
        )
        self.leases = GpuLeases(engine, self.gpus, owner=owner, policy=policy)
        self._making = Making(
            engine,
            self.leases,
            self._runtime_dirs,
            self.ssh,
            owner=owner,
            caller=caller,
            warmth=warmth,
            idle_minutes=lambda wanted: policy.idle_minutes(
                idle_stop if wanted is None else wanted
            ),
            streamed=streamed,
        )
        self._recreating = Recreating(
            engine,
            self._making,
            self.leases,
            self._runtime_dirs,
            self.kernelspecs,
            self.ssh,
            cache_dir=self._cache_dir,
        )

    async def launch(
        self,
        spec: EnvironmentSpec,
        *,
        report: ReportProgress = lambda _: None,
        build_dir: str = "",
        line: PlaceInLine | None = None,
        authorize: tuple[str, ...] = (),
    ) -> Environment:
        """Make an environment and return it when a kernel can start in it.

        May take an hour for the pull.  On failure and on cancellation everything that
        was made so far is removed before the error is raised.

        Args:
            report: Hears of every phase but the last one, which is the return or the error.
            build_dir: Build the image from the Dockerfile there; ``spec.image`` names it.
            line: Wait in line for GPUs, for as long as it takes.
            authorize: Public keys that SSH lets in, besides those that it lets in anyway.
        """
        let_in = self.ssh.checked(authorize)
        report(Progress(phase=Phase.QUEUED))
        if not build_dir:
            spec = replace(spec, image=await self.library.resolve(spec.image))
        facts = await self._check(spec, building=bool(build_dir))
        prepared = await obtain(
            self.engine,
            spec,
            library=self.library,
            build_dir=build_dir,
            owner=self.owner,
            cache_dir=self._cache_dir,
            report=report,
            ssh=self.ssh.wanted,
        )
        report(Progress(phase=Phase.CREATING, message=spec.name))
        async with AsyncExitStack() as undo:
            container_id = await self._making.make(
                spec, facts, prepared, undo=undo, report=report, line=line, let_in=let_in
            )
            try:
                await self.engine.rename(container_id, container_name(self.owner, spec.name))
            except ContainerNameTakenError as error:
                raise NameTakenError(
                    f"There is an environment {spec.name!r} already.", detail=error.detail
                ) from error
            environment = await self.get(spec.name)
            await to_its_end(asyncio.to_thread(self.kernelspecs.write, environment))
            undo.pop_all()
        return environment

    async def check(self, spec: EnvironmentSpec, *, building: bool = False) -> None:
        """Refuse what ``launch`` would refuse before it makes anything."""
        await self._check(spec, building=building)

    async def list(self) -> tuple[Environment, ...]:
        """Return the owner's environments by name, those being launched included.

        What launches that were killed have left behind is removed on the way, and the
        kernelspecs are brought in step.
        """
        facts = await self.engine.probe()
        known = await asyncio.to_thread(self.kernelspecs.names)
        states = await self._leftovers.remaining_containers()
        found = [self._observe(s) for s in states if s.labels.get(ROLE) == "environment"]
        environments = tuple(sorted((e for e in found if e is not None), key=lambda e: e.name))
        await self._leftovers.clear_files(environments, engine_id=facts.id)
        complete = [e for e in environments if e.status is not Status.LAUNCHING]
        for running in (e for e in complete if e.status is Status.RUNNING):
            await self._making.reach(running)
        await asyncio.to_thread(
            self.kernelspecs.sync, complete, engine=self.engine.name, known=known
        )
        return environments

    async def get(self, name: str) -> Environment:
        """Return one environment.

        Raises:
            EnvironmentNotFoundError: With the most similar name in the hint.
        """
        validate_name(name)
        try:
            state = await self.engine.inspect(container_name(self.owner, name))
        except ContainerNotFoundError as error:
            names = [e.name for e in await self.list()]
            close = difflib.get_close_matches(name, names, n=1)
            raise EnvironmentNotFoundError(
                f"There is no environment {name!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else "",
            ) from error
        environment = self._observe(state)
        if environment is None:
            raise EnvironmentNotFoundError(
                f"The container {state.name} has the name of an environment, but is none.",
                hint="Remove or rename that container.",
            )
        return environment

    async def start(self, name: str) -> Environment:
        """Start an environment and return it when a kernel can start in it.

        A running one is only waited for.

        Raises:
            GpusTakenError: Others use its GPUs now.
            EnvironmentDiedError: It ended at once; its last words are in ``detail``.
            NotAllowedError: The administrator's rules have changed since its launch.
            PortTakenError: Somebody has taken one of its ports while it was stopped.
        """
        environment = await self.get(name)
        await asyncio.to_thread(self.policy.check_environment, environment)
        if environment.status is Status.RUNNING:
            return await self._start(environment)
        async with self.leases.holding(environment):
            return await self._start(environment)

    async def _start(self, environment: Environment) -> Environment:
        facts = await self.engine.probe()
        # A reboot or a tidy-up of temporary files may have taken it.
        sockets = Path(environment.runtime_dir)
        await asyncio.to_thread(self._runtime_dirs.make, sockets, engine_id=facts.id)
        try:
            await self.engine.start(environment.container_id)
        except PortTakenError as error:
            raise await asyncio.to_thread(
                taken_meanwhile, error, environment, local=facts.local
            ) from error
        await self._making.ready(environment)
        return await self.get(environment.name)

    async def recreate(
        self,
        name: str,
        *,
        gpus: GpuRequest | None = None,
        shared: bool | None = None,
        report: ReportProgress = lambda _: None,
    ) -> Environment:
        """Give an environment a new container, and so perhaps other GPUs.

        Its home directory, mounts, ports, name and kernelspec stay; its processes end, and what
        was changed in its container outside of these is lost.  If too few GPUs are free nothing
        happens; when a later step fails, it is stopped.

        Args:
            gpus: By default as many as before, whichever are free.
            shared: By default as before.
        """
        old = await self.get(name)
        spec = replace(
            old.spec,
            gpus=gpus or old.spec.gpus.anywhere,
            shared=old.spec.shared if shared is None else shared,
        )
        facts = await self.engine.probe()
        others = [e for e in await self.list() if e.name != name]
        await asyncio.to_thread(self.policy.check, spec, others)
        await self._recreating.recreate(
            old, spec, facts, holding=self.leases.holding(old), report=report
        )
        environment = await self.get(name)
        await to_its_end(asyncio.to_thread(self.kernelspecs.write, environment))
        return environment

    async def reach(self, environment: Environment) -> None:
        """Make sure that the sockets of a running environment are on this machine."""
        await self._making.reach(environment)

    async def stop(self, name: str) -> Environment:
        """End an environment's processes; files and the home directory are kept."""
        environment = await self.get(name)
        await self.engine.stop(environment.container_id, timeout=_STOP_TIMEOUT)
        return await self.get(name)

    async def restart(self, name: str) -> Environment:
        """Stop and start an environment, whose GPUs nobody else gets in between."""
        async with self.leases.holding(await self.get(name)):
            return await self._start(await self.stop(name))

    async def remove(self, name: str) -> None:
        """Remove all of an environment: container, home volume, sockets, kernelspec."""
        environment = await self.get(name)
        await self.engine.remove(
            environment.container_id, volumes={OWNER: self.owner, ROLE: "home"}
        )
        await asyncio.to_thread(self._runtime_dirs.discard, Path(environment.runtime_dir))
        await asyncio.to_thread(self.ssh.discard, environment.id)
        await asyncio.to_thread(self.forward_records.discard, environment.id)
        await asyncio.to_thread(self.kernelspecs.remove, name, engine=self.engine.name)

    async def logs(self, name: str, *, follow: bool = False, tail: int = 0) -> AsyncIterator[bytes]:
        """Yield what the environment printed, and with ``follow`` what it will print."""
        environment = await self.get(name)
        async for chunk in self.engine.logs(environment.container_id, follow=follow, tail=tail):
            yield chunk

    async def open_stream(
        self,
        name: str,
        argv: tuple[str, ...],
        *,
        tty: bool = False,
        as_root: bool = False,
        workdir: str = "",
    ) -> Stream:
        """Start one more process in a running environment, as its user.

        Raises:
            EnvironmentNotRunningError
        """
        environment = await self.get(name)
        if environment.status is not Status.RUNNING:
            raise EnvironmentNotRunningError(
                f"The environment {name!r} is stopped.", hint=f"`jupyter dlenv start {name}`"
            )
        facts = await self.engine.probe()
        user = "0:0" if as_root else process_user(environment.spec, self.caller, facts)
        return await self.engine.open_stream(
            environment.container_id,
            argv,
            tty=tty,
            env={"HOME": environment.home, "PIP_BREAK_SYSTEM_PACKAGES": "1"},
            user=user if facts.isolated else "",
            workdir=workdir or environment.spec.workdir,
        )

    async def events(self) -> AsyncIterator[EngineEvent]:
        """Yield what happens to the owner's environments, until closed."""
        async for event in self.engine.events():
            if event.labels.get(OWNER) == self.owner:
                yield event

    async def aclose(self) -> None:
        """Let go of the engine and the driver; environments run on."""
        await self.relay.aclose()
        await self.library.aclose()
        await self.gpus.aclose()
        await self.engine.aclose()

    async def _check(self, spec: EnvironmentSpec, *, building: bool) -> EngineFacts:
        """Refuse what cannot work, before anything is made."""
        facts = await self.engine.probe()
        existing = await self.list()
        for other in existing:
            if other.name == spec.name:
                launching = other.status is Status.LAUNCHING
                raise NameTakenError(
                    f"An environment {spec.name!r} is {'being launched' if launching else 'there'} "
                    "already."
                )
        await asyncio.to_thread(self.policy.check, spec, existing, building=building)
        await check_possible(self.engine, spec, local=facts.local)
        return facts

    def _observe(self, state: ContainerState) -> Environment | None:
        return observe(
            state, owner=self.owner, engine=self.engine.name, runtime_dirs=self._runtime_dirs
        )
