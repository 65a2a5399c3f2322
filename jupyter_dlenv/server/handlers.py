"""The routes of the REST API; what they are for is said in ``schemas/openapi.yaml``."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jupyter_server.utils import url_path_join
from tornado.iostream import StreamClosedError

from ..doctor.collect import collect
from ..doctor.diagnoses import diagnose
from ..engines.base import Engine, ImageFacts
from ..errors import DlenvError, InvalidSpecError
from ..models import EnvironmentSpec
from . import openapi
from .base import DlenvHandler, needs

API = "dlenv/api"
_TAIL = 1000
_TEXT = "text/plain; charset=utf-8"


class EnvironmentsHandler(DlenvHandler):
    """All environments, and the way to a new one."""

    @needs("read")
    async def get(self) -> None:
        environments = await self.dlenv.environments().list()
        self.send_json({"environments": [e.to_json() for e in environments]})

    @needs("execute")
    async def post(self) -> None:
        body = self.read_json()
        build_dir = await self._build_dir(body.pop("build_dir", ""))
        # A longest possible request takes a while to check, and a path may be on a slow disk.
        spec = await asyncio.to_thread(self._spec, body)
        job = self.dlenv.jobs.launch(spec, build_dir=build_dir)
        self.set_header("Location", url_path_join(self.base_url, API, "jobs", job.id))
        self.send_json(job.to_json(), HTTPStatus.ACCEPTED)

    def _spec(self, body: dict[str, Any]) -> EnvironmentSpec:
        spec = EnvironmentSpec.from_json(body)
        return self.dlenv.configuration.with_default_mount(spec, self.dlenv.root_dir)

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
        self.send_json((await self.dlenv.environments().get(name)).to_json())

    @needs("write")
    async def delete(self, name: str) -> None:
        await self.dlenv.environments().remove(name)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


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


class ImagesHandler(DlenvHandler):
    """The images of the engine."""

    @needs("read")
    async def get(self) -> None:
        images = await self.dlenv.environments().images()
        self.send_json({"images": [_image(image) for image in images]})


class EngineHandler(DlenvHandler):
    """The engine itself."""

    @needs("read")
    async def get(self) -> None:
        engine = self.dlenv.environments().engine
        self.send_json({"name": engine.name, **dataclasses.asdict(await engine.probe())})


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
        self.send_json(openapi.description(url_path_join(self.base_url, API)))


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
    ("/environments/{name}/logs", LogsHandler),
    ("/jobs", JobsHandler),
    ("/jobs/{id}", JobHandler),
    ("/jobs/{id}/log", JobLogHandler),
    ("/kernels/{id}/last-exit", LastExitHandler),
    ("/images", ImagesHandler),
    ("/engine", EngineHandler),
    ("/doctor", DoctorHandler),
    ("/openapi.json", OpenAPIHandler),
)


def url_pattern(path: str) -> str:
    """Return the pattern of a route's URL, below the server's base URL."""
    pattern = re.sub(r"\{[a-z]+\}", "([^/]+)", path.replace(".", r"\."))
    return f"/{API}{pattern}"


def _image(image: ImageFacts) -> dict[str, Any]:
    # Not its variables: images carry secrets there more often than they should.
    return {
        "id": image.id,
        "tags": image.tags,
        "digests": image.digests,
        "size": image.size,
        "created": image.created,
        "architecture": image.architecture,
    }
