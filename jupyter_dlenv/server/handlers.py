"""The routes of the REST API; what they are for is said in ``schemas/openapi.yaml``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.utils import url_path_join
from tornado.iostream import StreamClosedError

from ..doctor.collect import collect
from ..doctor.diagnoses import diagnose
from ..engines.base import Engine
from ..environments import Environments
from ..errors import DlenvError, InvalidSpecError
from ..gpu_request import GpuRequest
from ..gpu_view import see_gpus
from ..idle import idle_time, idle_times
from ..kernels.link import IdleTime
from ..models import Environment, EnvironmentSpec
from ..reach import connection_sheet
from ..untrusted import flag, strings
from . import openapi
from .base import API, DlenvHandler, needs
from .engine_handlers import EngineHandler, EnginesHandler
from .gpu_board import board
from .image_handlers import (
    CatalogueHandler,
    ImagesHandler,
    PullHandler,
    PullsHandler,
    SheetHandler,
    TagsHandler,
)
from .ports import ForwardHandler, ForwardsHandler, PortsHandler
from .project import ProjectHandler
from .spec_check import invalid_fields, problem
from .ssh_socket import SshHandler, SshProxyScriptHandler
from .take_along_handlers import (
    ExportHandler,
    SaveEnvironmentHandler,
    SaveHandler,
    SavesHandler,
)
from .waiting import new_place

if TYPE_CHECKING:
    from .app import DlenvApp

_TAIL = 1000
_TEXT = "text/plain; charset=utf-8"


class EnvironmentsHandler(DlenvHandler):
    """All environments, and the way to a new one."""

    @needs("read")
    async def get(self) -> None:
        environments = await self.dlenv.environments().list()
        idle = await idle_times(environments)
        self.send_json({"environments": [_shown(e, idle[e.id]) for e in environments]})

    @needs("execute")
    async def post(self) -> None:
        body = self.read_json()
        build_dir = await self._build_dir(body.pop("build_dir", ""))
        project_path = body.pop("project", "")
        waits = flag(body, "wait_for_gpus")
        body.pop("wait_for_gpus", None)
        authorize = _public_keys(self.dlenv, body)
        # A longest possible request takes a while to check, and a path may be on a slow disk.
        spec = await asyncio.to_thread(_spec, self.dlenv, body)
        project = None
        if project_path:
            project = await asyncio.to_thread(self.dlenv.open_project, project_path, spec)
        path = project.path if project else ""
        line = new_place(spec, build_dir, authorize, path) if waits else None
        job = self.dlenv.jobs.launch(
            spec, build_dir=build_dir, line=line, authorize=authorize, project=project
        )
        self.set_header("Location", url_path_join(self.base_url, API, "jobs", job.id))
        self.send_json(job.to_json(), HTTPStatus.ACCEPTED)

    async def _build_dir(self, path: Any) -> str:
        """Return a directory of this machine; a relative path begins at the server's root."""
        if not isinstance(path, str) or "\0" in path:
            raise InvalidSpecError("build_dir is the path of a directory.")
        if not path:
            return ""
        directory = Path(self.dlenv.root_dir) / path
        if not await asyncio.to_thread(directory.is_dir):
            raise InvalidSpecError(f"There is no directory {str(directory)!r} to build from.")
        return str(directory)


class EnvironmentHandler(DlenvHandler):
    """One environment."""

    @needs("read")
    async def get(self, name: str) -> None:
        environment = await self.dlenv.environments().get(name)
        self.send_json(_shown(environment, await idle_time(environment)))

    @needs("write")
    async def delete(self, name: str) -> None:
        await self.dlenv.environments().remove(name)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class RecreateHandler(DlenvHandler):
    """Giving an environment a new container, on other GPUs."""

    @needs("execute")
    async def post(self, name: str) -> None:
        body = self.read_json() if self.request.body else {}
        unknown = sorted(set(body) - {"gpus", "shared"})
        if unknown:
            raise InvalidSpecError(f"A re-creation has no field {unknown[0]!r}.")
        environment = await self.dlenv.environments().recreate(
            name,
            gpus=GpuRequest.parse(body["gpus"]) if "gpus" in body else None,
            shared=flag(body, "shared") if "shared" in body else None,
        )
        self.send_json(environment.to_json())


class StartHandler(DlenvHandler):
    """Starting an environment."""

    @needs("execute")
    async def post(self, name: str) -> None:
        self.send_json((await self.dlenv.environments().start(name)).to_json())


class StopHandler(DlenvHandler):
    """Stopping an environment."""

    @needs("write")
    async def post(self, name: str) -> None:
        self.send_json((await self.dlenv.environments().stop(name)).to_json())


class RestartHandler(DlenvHandler):
    """Restarting an environment."""

    @needs("execute")
    async def post(self, name: str) -> None:
        self.send_json((await self.dlenv.environments().restart(name)).to_json())


class ConnectHandler(DlenvHandler):
    """The ways into an environment."""

    # Not read: whoever sees the sheet has, with the path of the key, the way in.
    @needs("execute")
    async def get(self, name: str) -> None:
        sheet = await connection_sheet(
            self.dlenv.environments(),
            name,
            url=f"{self.request.protocol}://{self.request.host}{self.base_url}",
            via=self.get_query_argument("via", ""),
            path=self.get_query_argument("path", ""),
            engine=self.dlenv.engines.option,
        )
        self.send_json(sheet.to_json())


class LogsHandler(DlenvHandler):
    """What an environment printed, and what it prints."""

    _writing: asyncio.Task[None] | None = None

    @needs("read")
    async def get(self, name: str) -> None:
        tail = self.read_number("tail", _TAIL)
        follow = self.read_number("follow", 0) != 0
        environments = self.dlenv.environments()
        # Once the first byte is out, an unknown name could not be told any more.
        await environments.get(name)
        await self._write_all(environments.logs(name, follow=follow, tail=tail))

    def on_connection_close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()

    async def _write_all(self, chunks: AsyncIterator[bytes]) -> None:
        self.set_header("Content-Type", _TEXT)
        self.set_header("Cache-Control", "no-store")
        # Some proxies hold back what they could send.
        self.set_header("X-Accel-Buffering", "no")
        self._writing = asyncio.create_task(self._copy(chunks))
        self.dlenv.following.add(self._writing)
        self._writing.add_done_callback(self.dlenv.following.discard)
        await asyncio.wait([self._writing])
        if not self._writing.cancelled():
            self._writing.result()
            self.finish(set_content_type=_TEXT)

    async def _copy(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            await self.flush()
            async for chunk in chunks:
                self.write(chunk)
                # Waits for the client, so that a slow one never fills our memory.
                await self.flush()
        except StreamClosedError:
            return
        except DlenvError as error:
            # Too late for a status.
            self.write(f"\n[{error}]\n")


class JobsHandler(DlenvHandler):
    """All launches."""

    @needs("read")
    async def get(self) -> None:
        self.send_json({"jobs": [job.to_json() for job in self.dlenv.jobs.list()]})


class JobHandler(DlenvHandler):
    """One launch."""

    @needs("read")
    async def get(self, job_id: str) -> None:
        self.send_json(self.dlenv.jobs.get(job_id).to_json())

    @needs("write")
    async def delete(self, job_id: str) -> None:
        self.send_json(self.dlenv.jobs.cancel(job_id).to_json(), HTTPStatus.ACCEPTED)


class JobLogHandler(DlenvHandler):
    """The output of a launch's build."""

    @needs("read")
    async def get(self, job_id: str) -> None:
        self.set_header("Cache-Control", "no-store")
        self.finish(str(self.dlenv.jobs.get(job_id).log), set_content_type=_TEXT)


class SpecHandler(DlenvHandler):
    """What would be wrong with a launch; nothing is made."""

    @needs("read")
    async def post(self) -> None:
        body = self.read_json()
        for name in ("build_dir", "project", "wait_for_gpus"):
            body.pop(name, None)
        keys = {"authorize": body.pop("authorize", ())}
        problems = await asyncio.to_thread(invalid_fields, body)
        spec = None
        if not problems:
            try:
                _public_keys(self.dlenv, keys)
                spec = await asyncio.to_thread(_spec, self.dlenv, body)
                await self.dlenv.environments().check(spec)
            except DlenvError as error:
                problems.append(problem(error))
        ssh = self.dlenv.configuration.ssh_settings
        self.send_json(
            {
                "spec": spec.to_json() if spec else None,
                "problems": problems,
                "ssh_port": ssh.first_port if ssh else 0,
            }
        )


class GpusHandler(DlenvHandler):
    """The GPUs of the engine's machine, and who uses them."""

    @needs("read")
    async def get(self) -> None:
        count = self.read_number("count", 0)
        environments = self.dlenv.environments()
        view, own = await asyncio.gather(see_gpus(environments), self._list(environments))
        # Finding the best connected of many GPUs takes a moment.
        self.send_json(await asyncio.to_thread(board, view, own, count=count))

    async def _list(self, environments: Environments) -> tuple[Environment, ...]:
        """Return who may hold GPUs; where the engine is away, the GPUs are shown all the same."""
        try:
            return await environments.list()
        except DlenvError:
            return ()


class DoctorHandler(DlenvHandler):
    """What is wrong, and what to try."""

    @needs("read")
    async def get(self) -> None:
        configuration = self.dlenv.configuration
        engine: Engine | DlenvError
        try:
            environments = self.dlenv.environments()
        except DlenvError as error:
            engine, owner = error, configuration.owner
        else:
            engine, owner = environments.engine, environments.owner
        facts = await collect(
            engine,
            owner=owner,
            runtime_dir=Path(configuration.runtime_dir),
            data_dir=Path(configuration.data_dir),
            host_ports=configuration.allowed_host_ports,
        )
        # Not the facts: whoever may look at environments need not know all of this machine.
        self.send_json({"findings": [f.to_json() for f in diagnose(facts)]})


class OpenAPIHandler(DlenvHandler):
    """The description of all this."""

    @needs("read")
    async def get(self) -> None:
        url = url_path_join(self.base_url, API)
        self.send_json(await asyncio.to_thread(openapi.description, url))


class LastExitHandler(DlenvHandler):
    """Why a kernel ended."""

    @needs("read")
    async def get(self, kernel_id: str) -> None:
        self.send_json(self.dlenv.exits.last(kernel_id).to_json())


#: Paths as the description has them.
ROUTES: tuple[tuple[str, type[DlenvHandler]], ...] = (
    ("/environments", EnvironmentsHandler),
    ("/environments/{name}", EnvironmentHandler),
    ("/environments/{name}/start", StartHandler),
    ("/environments/{name}/stop", StopHandler),
    ("/environments/{name}/restart", RestartHandler),
    ("/environments/{name}/recreate", RecreateHandler),
    ("/environments/{name}/logs", LogsHandler),
    ("/environments/{name}/connect", ConnectHandler),
    ("/environments/{name}/export", ExportHandler),
    ("/environments/{name}/save", SaveEnvironmentHandler),
    ("/saves", SavesHandler),
    ("/saves/{id}", SaveHandler),
    ("/environments/{name}/ports", PortsHandler),
    ("/environments/{name}/forwards", ForwardsHandler),
    ("/environments/{name}/forwards/{port}", ForwardHandler),
    ("/environments/{name}/ssh", SshHandler),
    ("/ssh-proxy.py", SshProxyScriptHandler),
    ("/jobs", JobsHandler),
    ("/jobs/{id}", JobHandler),
    ("/jobs/{id}/log", JobLogHandler),
    ("/kernels/{id}/last-exit", LastExitHandler),
    ("/images", ImagesHandler),
    ("/images/sheet", SheetHandler),
    ("/catalogue", CatalogueHandler),
    ("/tags", TagsHandler),
    ("/pulls", PullsHandler),
    ("/pulls/{id}", PullHandler),
    ("/engine", EngineHandler),
    ("/engines", EnginesHandler),
    ("/gpus", GpusHandler),
    ("/spec", SpecHandler),
    ("/project", ProjectHandler),
    ("/doctor", DoctorHandler),
    ("/openapi.json", OpenAPIHandler),
)


def _public_keys(dlenv: DlenvApp, body: dict[str, Any]) -> tuple[str, ...]:
    keys = tuple(strings(body, "authorize"))
    body.pop("authorize", None)
    return dlenv.environments().ssh.checked(keys)


def _shown(environment: Environment, idle: IdleTime | None) -> dict[str, Any]:
    return {**environment.to_json(), "idle": idle.to_json() if idle else None}


def _spec(dlenv: DlenvApp, body: dict[str, Any]) -> EnvironmentSpec:
    spec = EnvironmentSpec.from_json(body)
    return dlenv.configuration.with_default_mount(spec, dlenv.root_dir)


def url_pattern(path: str) -> str:
    """Return the pattern of a route's URL, below the server's base URL."""
    pattern = re.sub(r"\{[a-z]+\}", "([^/]+)", path.replace(".", r"\."))
    return f"/{API}{pattern}"
