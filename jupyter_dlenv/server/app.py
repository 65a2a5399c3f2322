"""The server extension: what lives as long as the Jupyter server, and how it begins and ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Bool, Float

from ..access.forward_records import ForwardRecords
from ..access.forwards import Forwards
from ..access.keeper import Keeper
from ..access.relay import Place
from ..access.unix_doors import UnixDoors
from ..configuration import Configuration
from ..environments import Environments
from ..models import Environment, EnvironmentSpec
from ..runtime_dirs import RuntimeDirs
from .activity import leave_out_comms
from .channels import connection_class
from .engines import Engines
from .events import EVENT_SCHEMAS, Announcer
from .exits import Exits
from .handlers import ROUTES, url_pattern
from .idle_warnings import IdleWarnings
from .jobs import Job, Jobs
from .project import LaunchedProject
from .pulls import Pull, PullJobs
from .reattach import Reattachment
from .saves import Save, SaveJobs
from .waiting import take_over
from .watcher import Watcher
from .web_proxy import PROXY_ROUTES

_STOP_TIMEOUT = 5.0
_LONGEST_REATTACHMENT = 10.0


class DlenvApp(ExtensionApp):
    """Serves environments to the browser.

    Loading it asks nothing of the engine: a server whose engine is away starts as fast as
    any other, and says so only when somebody wants an environment.
    """

    name = "jupyter_dlenv"
    # ExtensionApp would make it jupyter_jupyter_dlenv_config.
    config_file_name = "jupyter_dlenv_config"
    description = "Deep-learning containers as Jupyter environments."
    classes = [Configuration]  # noqa: RUF012

    progress_interval = Float(
        0.25,
        min=0.0,
        help="Least number of seconds between two progress events of one launch.",
    ).tag(config=True)
    job_memory = Float(
        3600.0,
        min=0.0,
        help="For how many seconds a launch that ended is remembered.",
    ).tag(config=True)

    keep_kernels = Bool(
        True,
        help="Whether kernels of environments run on when the server ends, and are found again "
        "by the next one.",
    ).tag(config=True)

    configuration: Configuration
    engines: Engines
    jobs: Jobs
    pulls: PullJobs
    saves: SaveJobs
    exits: Exits
    _reattachment: Reattachment | None = None
    _is_started = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Filled while loading, so that a load that failed half-way can be stopped too.
        self._at_stop = AsyncExitStack()
        #: What goes on for as long as one engine is in use.
        self._attending: set[asyncio.Task[None]] = set()

    def initialize_settings(self) -> None:
        """Prepare what the handlers use; called once, before the server listens."""
        serverapp = self._server()
        event_logger, specs = serverapp.event_logger, serverapp.kernel_spec_manager
        assert event_logger is not None and specs is not None  # noqa: S101, PT018
        for schema in EVENT_SCHEMAS:
            event_logger.register_event_schema(schema)
        self.exits = Exits(serverapp.kernel_manager)
        self.exits.listen(event_logger)
        self.configuration = Configuration.load(parent=self)
        self.engines = Engines(
            self.configuration, busy=self._under_way, changed=self._engine_changed
        )
        # The first to be pushed is the last to be closed.
        self._at_stop.push_async_callback(self.engines.aclose)
        # Not the user's own kernel directory: other Jupyters that look there may lack
        # the provisioner.  First, because those that are installed for them are a detour here.
        specs.kernel_dirs.insert(0, self.configuration.kernelspecs_dir)
        # Not those of the web application, over which these are written afterwards.
        self.settings["kernel_websocket_connection_class"] = connection_class(
            serverapp.kernel_websocket_connection_class
        )
        leave_out_comms(serverapp.kernel_manager)
        if self.keep_kernels and Reattachment.is_possible(serverapp):
            self._reattachment = Reattachment(
                serverapp, RuntimeDirs(Path(self.configuration.runtime_dir))
            )
            self._reattachment.begin()
            self._reattach()
        self._announcer = Announcer(
            event_logger.emit,
            owner=lambda: self.environments().owner,
            interval=self.progress_interval,
        )
        self._at_stop.callback(self._announcer.close)
        self.jobs = Jobs(
            self.environments, changed=self._announcer.job_changed, memory=self.job_memory
        )
        self._at_stop.push_async_callback(self.jobs.aclose)
        self.pulls = PullJobs(
            self.environments, changed=self._announcer.pull_changed, memory=self.job_memory
        )
        self._at_stop.push_async_callback(self.pulls.aclose)
        self.saves = SaveJobs(self.environments, memory=self.job_memory)
        self._at_stop.push_async_callback(self.saves.aclose)
        self._forwards = Forwards(
            lambda place, target: self.engines.of(place).relay.connect(place, target),
            records=ForwardRecords(Path(self.configuration.data_dir) / "forwards"),
            allowed=self.configuration.allowed_host_ports,
            changed=self._announcer.forwards,
        )
        self.doors = UnixDoors(
            lambda place, target: self.engines.of(place).relay.connect(place, target),
            Path(self.configuration.runtime_dir),
        )
        self._at_stop.push_async_callback(self.doors.aclose)
        self.keeper = Keeper(self._forwards, Path(self.configuration.runtime_dir))
        self._at_stop.push_async_callback(self.keeper.aclose)
        self._idle_warnings = IdleWarnings(self._announcer.idle)
        self._at_stop.push_async_callback(self._idle_warnings.aclose)
        #: Answers that go on for as long as somebody reads them.
        self.following: set[asyncio.Task[None]] = set()
        self._at_stop.push_async_callback(_end, self.following)

    def initialize_handlers(self) -> None:
        self.handlers.extend((url_pattern(path), handler) for path, handler in ROUTES)
        self.handlers.extend(PROXY_ROUTES)

    def environments(self) -> Environments:
        """Return the environments on the engine in use.

        Raises:
            UnknownEngineError, NotAllowedError
        """
        return self.engines.environments()

    @property
    def root_dir(self) -> str:
        """Return the directory that the server shows its user."""
        return str(self._server().root_dir)

    def open_project(self, path: Any, spec: EnvironmentSpec) -> LaunchedProject | None:
        """Read the project that a launch is of, which belongs in a thread.

        Raises:
            InvalidSpecError, InvalidSpecFileError: As ``LaunchedProject.opened`` says.
        """
        root = Path(self.root_dir)
        return LaunchedProject.opened(root, path, spec, self.configuration)

    def current_activity(self) -> list[dict[str, Any]] | None:
        """Return what runs: a server that is idle otherwise must wait for it."""
        return [job.to_json() for job in self._running()] or None

    async def _start_jupyter_server_extension(self, _serverapp: Any) -> None:
        keeping = asyncio.create_task(self.keeper.run(), name="dlenv keeper of forwards")
        self._at_stop.push_async_callback(_end, {keeping})
        self._is_started = True
        self._attend()
        self._at_stop.push_async_callback(_end, self._attending)
        if self._reattachment is not None:
            attaching = asyncio.create_task(self._reattachment.keep_attaching())
            self._at_stop.push_async_callback(_end, {attaching})

    def _attend(self) -> None:
        """Watch the engine in use, and no other one."""
        for task in self._attending:
            # Not awaited: it may wait for an engine that hangs.
            task.cancel()
        watcher = Watcher(self.environments, self._announcer, looked=self._keep_ways)
        for name, work in (
            ("watcher", watcher.run()),
            ("line", take_over(self.environments, self.jobs, self.open_project)),
        ):
            task = asyncio.create_task(work, name=f"dlenv {name}")
            self._attending.add(task)
            task.add_done_callback(self._attending.discard)

    def _engine_changed(self) -> None:
        if self._is_started:
            self._attend()
        self._announcer.engine(self.engines.in_use)

    def _running(self) -> list[Job | Pull | Save]:
        jobs: tuple[Job | Pull | Save, ...] = (
            *self.jobs.list(),
            *self.pulls.list(),
            *self.saves.list(),
        )
        return [job for job in jobs if not job.progress.phase.ended]

    def _under_way(self) -> str:
        """Return in words what needs the engine in use."""
        return next((job.words for job in self._running()), "")

    async def _keep_ways(self, environments: tuple[Environment, ...], *, engine_id: str) -> None:
        self.engines.saw(environments)
        places = [Place.of(environment) for environment in environments]
        owner = self.environments().owner
        await self._forwards.keep_only(places, owner=owner, engine_id=engine_id)
        await self._forwards.try_again()
        await self.doors.keep_only({place.environment_id for place in places})
        await self._idle_warnings.follow(environments)
        if self._reattachment is not None and any(e.streamed for e in environments):
            # Their sockets may have come back only now, with this look.
            await self._reattachment.attach()

    async def stop_extension(self) -> None:
        """Cancel what runs and let go of the engine; environments and their kernels run on."""
        await self._at_stop.aclose()
        reattachment, self._reattachment = self._reattachment, None
        if reattachment is not None:
            await reattachment.let_go()

    def _reattach(self) -> None:
        """Find the kernels before the first request: a page that is told of none gives up."""
        io_loop: Any = self._server().io_loop
        loop: asyncio.AbstractEventLoop = io_loop.asyncio_loop
        if loop.is_running() or self._reattachment is None:
            # Inside somebody's program; they are found when the server starts.
            return
        try:
            loop.run_until_complete(
                asyncio.wait_for(self._reattachment.attach(), _LONGEST_REATTACHMENT)
            )
        except asyncio.TimeoutError:
            self.log.warning("Some environments do not answer; their kernels are looked for later")

    def _server(self) -> ServerApp:
        assert self.serverapp is not None, "the extension is used before it is loaded"  # noqa: S101
        return self.serverapp


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)
