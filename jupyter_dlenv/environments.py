"""The order of steps by which environments are launched, listed, started, stopped and removed."""

from __future__ import annotations

import asyncio
import difflib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from .engines.base import (
    ContainerPlan,
    ContainerState,
    Engine,
    EngineEvent,
    EngineFacts,
    ImageFacts,
    Stream,
    SupportsImages,
    SupportsSocketMounts,
)
from .engines.completion import to_its_end
from .errors import (
    CapabilityMissingError,
    ContainerNameTakenError,
    ContainerNotFoundError,
    DlenvError,
    EnvironmentDiedError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    ImageNotFoundError,
    InvalidSpecError,
    MountMissingError,
    NameTakenError,
)
from .images.prepare import PreparedImage
from .kernels.kernelspecs import KernelSpecs
from .kernels.link import AgentLink
from .kernels.warmth import Warmth
from .labels import ID, OWNER, ROLE, EnvironmentLabels
from .launcher import own_identity
from .models import Environment, EnvironmentSpec, Phase, Progress, Status, validate_name
from .observe import is_abandoned, observe
from .obtain import ReportProgress, obtain
from .plan import (
    Caller,
    container_name,
    environment_home,
    environment_python,
    image_container,
    process_container,
    process_user,
)
from .policy import Policy
from .runtime_dirs import RuntimeDirs

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: An image's entrypoint may check GPUs and print for a while before the agent starts.
AGENT_TIMEOUT = 120.0
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
        warmth: Warmth = Warmth(),  # noqa: B008 - it is frozen
    ) -> None:
        self.engine = engine
        self.owner = owner
        self.kernelspecs = KernelSpecs(data_dir / "kernels")
        self._caller = caller
        self._policy = policy
        self._cache_dir = data_dir / "images"
        self._runtime_dirs = RuntimeDirs(runtime_dir)
        self._warmth = warmth

    async def launch(
        self,
        spec: EnvironmentSpec,
        *,
        report: ReportProgress = lambda _: None,
        build_dir: str = "",
    ) -> Environment:
        """Make an environment and return it when a kernel can start in it.

        May take an hour for the pull.  On failure and on cancellation everything that
        was made so far is removed before the error is raised.

        Args:
            report: Hears of every phase but the last one, which is the return or the error.
            build_dir: Build the image from the Dockerfile there; ``spec.image`` names it.
        """
        report(Progress(phase=Phase.QUEUED))
        facts = await self._check(spec, building=bool(build_dir))
        prepared = await obtain(
            self.engine,
            spec,
            build_dir=build_dir,
            owner=self.owner,
            cache_dir=self._cache_dir,
            report=report,
        )
        report(Progress(phase=Phase.CREATING, message=spec.name))
        async with AsyncExitStack() as undo:
            labels = self._new_labels(spec, prepared)
            sockets = Path(labels.runtime_dir)
            undo.push_async_callback(
                _undisturbed, asyncio.to_thread, self._runtime_dirs.discard, sockets
            )
            making = asyncio.to_thread(self._runtime_dirs.make, sockets, engine_id=facts.id)
            await to_its_end(making)
            plan = self._plan(self._warmth.applied_to(spec), facts, labels, prepared)
            try:
                container_id = await self.engine.create(plan)
            except ContainerNameTakenError as error:
                raise NameTakenError(
                    f"Another launch of {spec.name!r} is under way.", detail=error.detail
                ) from error
            undo.push_async_callback(
                _undisturbed, self.engine.remove, container_id, volumes={ID: labels.id}
            )
            report(Progress(phase=Phase.STARTING, message="Waiting for the environment to answer"))
            await self.engine.start(container_id)
            await self._agent_answers(container_id, sockets)
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

    async def list(self) -> tuple[Environment, ...]:
        """Return the owner's environments by name, those being launched included.

        What launches that were killed have left behind is removed on the way, and the
        kernelspecs are brought in step.
        """
        facts = await self.engine.probe()
        known = await asyncio.to_thread(self.kernelspecs.names)
        states = await self.engine.list({OWNER: self.owner})
        abandoned = [s for s in states if is_abandoned(s)]
        for state in abandoned:
            _log.warning("Removing %s: the process that launched it is gone", state.name)
            await self.engine.remove(state.id, volumes={ID: state.labels.get(ID, "")})
        kept = [s for s in states if s not in abandoned]
        found = [self._observe(s) for s in kept if s.labels.get(ROLE) == "environment"]
        environments = tuple(sorted((e for e in found if e is not None), key=lambda e: e.name))
        ids = {e.id for e in environments}
        await asyncio.to_thread(self._runtime_dirs.sweep, ids, engine_id=facts.id)
        complete = [e for e in environments if e.status is not Status.LAUNCHING]
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
            EnvironmentDiedError: It ended at once; its last words are in ``detail``.
        """
        environment = await self.get(name)
        facts = await self.engine.probe()
        # A reboot or a tidy-up of temporary files may have taken it.
        sockets = Path(environment.runtime_dir)
        await asyncio.to_thread(self._runtime_dirs.make, sockets, engine_id=facts.id)
        await self.engine.start(environment.container_id)
        await self._agent_answers(environment.container_id, sockets)
        return await self.get(name)

    async def stop(self, name: str) -> Environment:
        """End an environment's processes; files and the home directory are kept."""
        environment = await self.get(name)
        await self.engine.stop(environment.container_id, timeout=_STOP_TIMEOUT)
        return await self.get(name)

    async def restart(self, name: str) -> Environment:
        """Stop and start an environment."""
        await self.stop(name)
        return await self.start(name)

    async def remove(self, name: str) -> None:
        """Remove all of an environment: container, home volume, sockets, kernelspec."""
        environment = await self.get(name)
        await self.engine.remove(
            environment.container_id, volumes={OWNER: self.owner, ROLE: "home"}
        )
        await asyncio.to_thread(self._runtime_dirs.discard, Path(environment.runtime_dir))
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
        user = "0:0" if as_root else process_user(environment.spec, self._caller, facts)
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

    async def images(self) -> tuple[ImageFacts, ...]:
        """Return the images that the engine has, newest first."""
        if not isinstance(self.engine, SupportsImages):
            return ()
        return await self.engine.list_images()

    async def aclose(self) -> None:
        """Let go of the engine; environments run on."""
        await self.engine.aclose()

    async def _check(self, spec: EnvironmentSpec, *, building: bool) -> EngineFacts:
        """Refuse what cannot work, before anything is made."""
        if spec.engine not in ("", self.engine.name):
            raise InvalidSpecError(
                f"This is the engine {self.engine.name!r}, not {spec.engine!r}.",
                hint="Leave the engine out, or ask the other engine.",
            )
        facts = await self.engine.probe()
        existing = await self.list()
        for other in existing:
            if other.name == spec.name:
                state = "being launched" if other.status is Status.LAUNCHING else "there"
                raise NameTakenError(f"An environment {spec.name!r} is {state} already.")
        self._policy.check(spec, existing, building=building)
        if isinstance(self.engine, SupportsImages):
            if (
                not isinstance(self.engine, SupportsSocketMounts)
                or not self.engine.shares_sockets()
            ):
                raise CapabilityMissingError(
                    f"Kernels cannot be reached on the engine {self.engine.name!r} yet: "
                    "it does not share sockets with this machine.",
                    hint="Use an engine on this machine.",
                )
        elif spec.image != "python":
            raise ImageNotFoundError(
                f"The engine {self.engine.name!r} has no images: it runs plain processes.",
                hint="Launch the image `python`, which stands for this machine's own Python.",
            )
        if facts.local:
            for mount in spec.mounts:
                if not await asyncio.to_thread(Path(mount.source).exists):
                    raise MountMissingError(f"There is no {mount.source} to mount.")
        return facts

    def _observe(self, state: ContainerState) -> Environment | None:
        return observe(
            state, owner=self.owner, engine=self.engine.name, runtime_dirs=self._runtime_dirs
        )

    def _new_labels(
        self, spec: EnvironmentSpec, prepared: PreparedImage | None
    ) -> EnvironmentLabels:
        environment_id = secrets.token_hex(5)
        return EnvironmentLabels(
            id=environment_id,
            owner=self.owner,
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

    async def _agent_answers(self, container_id: str, directory: Path) -> None:
        """Wait until the agent answers; the end of the container ends the wait."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + AGENT_TIMEOUT
        while True:
            try:
                link = await AgentLink.connect(directory, timeout=1)
            except DlenvError as error:
                state = await self.engine.inspect(container_id)
                if state.state != "running":
                    raise EnvironmentDiedError(
                        f"The environment ended at once (exit code {state.exit_code}).",
                        detail=await self._last_words(container_id, state),
                    ) from error
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                await link.aclose()
                return

    async def _last_words(self, container_id: str, state: ContainerState) -> str:
        chunks = [chunk async for chunk in self.engine.logs(container_id, tail=30)]
        return "\n".join(filter(None, [state.error, b"".join(chunks).decode(errors="replace")]))


async def _undisturbed(
    step: Callable[..., Coroutine[Any, Any, _T]], *args: Any, **kwargs: Any
) -> None:
    """Run a step of a clean-up to its end, however often the launch is cancelled meanwhile."""
    task: Awaitable[_T] = asyncio.ensure_future(step(*args, **kwargs))
    while not task.done():  # type: ignore[attr-defined]
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
        except DlenvError as error:
            # The error that led here matters more; the next list() tries again.
            _log.warning("Clean-up failed: %s", error)
