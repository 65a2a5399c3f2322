"""The engine that runs containers with Docker, on this machine or on another."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from docker import APIClient

from ..errors import (
    ContainerNotFoundError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ImageNotFoundError,
    PortTakenError,
)
from ..labels import PREFIX
from .base import (
    ContainerPlan,
    ContainerState,
    EngineEvent,
    EngineFacts,
    FileToPut,
    ImageFacts,
    ReportTransfer,
    RunResult,
    Stream,
)
from .completion import to_its_end
from .docker_claims import clock, gpu_claims
from .docker_connection import DockerConnection
from .docker_creation import Creation, named_volumes, remove_container, remove_volume
from .docker_endpoint import DockerEndpoint
from .docker_errors import refusal
from .docker_http import Frames
from .docker_images import DockerImages
from .docker_saving import DockerSaving
from .docker_stream import DockerStream
from .docker_values import asked_ports, container_state, engine_facts
from .gpu_claims import GpuClaim

_OUTPUT_LIMIT = 1024 * 1024
_JSON_LIMIT = 1024 * 1024
_STOP_GRACE_SECONDS = 30
_PORT_TRIES = 5
_EVENTS = ("create", "start", "die", "stop", "destroy", "rename")
_log = logging.getLogger(__name__)
_of_container = partial(refusal, missing=ContainerNotFoundError)


class DockerEngine:
    """Runs containers on one Docker engine, version 20.10 or newer.

    Args:
        name: Under which the user knows it.
        address: What ``open_engine`` opens it by.
    """

    def __init__(
        self, endpoint: DockerEndpoint, *, name: str = "docker", address: str = "docker"
    ) -> None:
        self._name = name
        self.address = address
        self._endpoint = endpoint
        self._docker = DockerConnection(endpoint)
        self._images = DockerImages(self._docker)
        self._saving = DockerSaving(self._docker, self._images)
        self._facts: EngineFacts | None = None

    @property
    def name(self) -> str:
        return self._name

    async def probe(self) -> EngineFacts:
        if self._facts is None:

            def work(client: APIClient) -> EngineFacts:
                return engine_facts(
                    client.info(),
                    api_version=str(client.api_version),
                    local=self._endpoint.on_this_machine,
                    nvidia_hook=_nvidia_hook(),
                )

            self._facts = await self._docker.call(work)
        return self._facts

    def shares_sockets(self) -> bool:
        return self._facts is not None and self._facts.local

    async def create(self, plan: ContainerPlan) -> str:
        # Of another machine nobody can say; there, NVIDIA's runtime is what shows.
        creation = Creation(plan, nvidia_hook=self._endpoint.on_this_machine and _nvidia_hook())
        complete = False
        try:
            container_id = await self._docker.call(creation.make, missing=ImageNotFoundError)
            complete = True
            return container_id
        finally:
            if creation.begun and not complete:
                await to_its_end(self._undo(creation))

    async def rename(self, container_id: str, name: str) -> None:
        await self._docker.call(
            lambda client: client.rename(container_id, name), missing=ContainerNotFoundError
        )

    async def start(self, container_id: str) -> None:
        # Asked for any port, Docker passes over ten that others have (another engine's, say),
        # and gives up; asked again, it goes on from there.
        for _ in range(_PORT_TRIES - 1):
            try:
                await self._start(container_id)
            except PortTakenError as error:
                if await self._was_asked_for(container_id, error):
                    raise
            else:
                return
        await self._start(container_id)

    async def _start(self, container_id: str) -> None:
        await self._docker.call(
            lambda client: client.start(container_id), missing=ContainerNotFoundError
        )

    async def _was_asked_for(self, container_id: str, error: PortTakenError) -> bool:
        def work(client: APIClient) -> set[int]:
            return asked_ports(client.inspect_container(container_id))

        ports = await self._docker.call(work, missing=ContainerNotFoundError)
        return 0 not in ports or any(map(error.blames, ports))

    async def inspect(self, container_id: str) -> ContainerState:
        def work(client: APIClient) -> ContainerState:
            return container_state(client.inspect_container(container_id))

        return await self._docker.call(work, missing=ContainerNotFoundError)

    async def list(self, labels: Mapping[str, str]) -> tuple[ContainerState, ...]:
        filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
        entries = await self._docker.call(
            lambda client: client.containers(all=True, filters=filters)
        )
        states = await asyncio.gather(*(self._inspect_if_there(e["Id"]) for e in entries))
        return tuple(state for state in states if state is not None)

    async def stop(self, container_id: str, *, timeout: float = 10) -> None:
        # Not in a thread: eight stubborn containers would hold up all other questions.
        asking = self._docker.asking(
            "POST",
            f"/containers/{container_id}/stop",
            query={"t": str(math.ceil(timeout))},
            refused=_of_container,
        )

        async def work() -> None:
            async with asking:
                pass

        try:
            await asyncio.wait_for(work(), timeout + _STOP_GRACE_SECONDS)
        except asyncio.TimeoutError as error:
            raise EngineTimeoutError("The engine could not stop the container.") from error

    async def remove(self, container_id: str, *, volumes: Mapping[str, str] | None = None) -> None:
        await to_its_end(self._remove(container_id, volumes))

    async def run(self, plan: ContainerPlan, *, timeout: float) -> RunResult:
        container_id = await self.create(plan)
        try:
            return await asyncio.wait_for(self._run(container_id), timeout)
        except asyncio.TimeoutError as error:
            raise EngineTimeoutError(
                f"A command in {plan.image} had not ended after {timeout:.0f} s."
            ) from error
        finally:
            await self.remove(container_id)

    async def logs(
        self, container_id: str, *, follow: bool = False, tail: int = 0
    ) -> AsyncIterator[bytes]:
        query = {"stdout": "1", "stderr": "1", "tail": str(tail or "all")}
        if follow:
            query["follow"] = "1"
        async with self._docker.asking(
            "GET", f"/containers/{container_id}/logs", query=query, refused=_of_container
        ) as answer:
            frames = Frames(answer)
            while data := (await frames.next())[1]:
                yield data

    def events(self) -> AsyncIterator[EngineEvent]:
        # What happens between this call and the first ``anext`` is not lost.
        return self._events(since=time.time())

    async def open_stream(
        self,
        container_id: str,
        argv: tuple[str, ...],
        *,
        tty: bool = False,
        env: Mapping[str, str] | None = None,
        user: str = "",
        workdir: str = "",
    ) -> Stream:
        def create(client: APIClient) -> str:
            made = client.exec_create(
                container_id,
                list(argv),
                stdin=True,
                tty=tty,
                user=user,
                environment=dict(env or {}),
                workdir=workdir or None,
            )
            return str(made["Id"])

        exec_id = await self._docker.call(create, missing=ContainerNotFoundError)
        body = json.dumps({"Tty": tty, "Detach": False}).encode()
        answer = await self._docker.ask(
            "POST",
            f"/exec/{exec_id}/start",
            headers={
                "Connection": "Upgrade",
                "Upgrade": "tcp",
                "Content-Type": "application/json",
            },
            body=body,
            refused=_of_container,
        )

        async def inspect() -> dict[str, Any]:
            return await self._docker.call(
                lambda client: client.exec_inspect(exec_id), missing=ContainerNotFoundError
            )

        async def resize(rows: int, columns: int) -> None:
            await self._docker.call(
                lambda client: client.exec_resize(exec_id, height=rows, width=columns)
            )

        return DockerStream(answer, url=self._endpoint.url, tty=tty, inspect=inspect, resize=resize)

    async def pull(self, image: str, report: ReportTransfer) -> ImageFacts:
        return await self._images.pull(image, report)

    async def build(
        self,
        *,
        tag: str,
        report: ReportTransfer,
        directory: str = "",
        dockerfile: str = "",
        files: tuple[FileToPut, ...] = (),
        labels: Mapping[str, str] | None = None,
        network: bool = True,
    ) -> ImageFacts:
        return await self._images.build(
            tag=tag,
            report=report,
            directory=directory,
            dockerfile=dockerfile,
            files=files,
            labels=labels or {},
            network=network,
        )

    async def inspect_image(self, image: str) -> ImageFacts:
        return await self._images.inspect(image)

    async def list_images(self) -> tuple[ImageFacts, ...]:
        return await self._images.list()

    async def gpu_claims(self) -> tuple[GpuClaim, ...]:
        return await self._docker.call(gpu_claims)

    async def clock(self) -> datetime:
        return await self._docker.call(clock)

    async def image_layers(self) -> tuple[tuple[str, ...], ...]:
        return await self._images.layers()

    async def commit(
        self, container_id: str, *, tag: str, like: ImageFacts, labels: Mapping[str, str]
    ) -> ImageFacts:
        return await self._saving.commit(container_id, tag=tag, like=like, labels=labels)

    async def push(self, image: str, report: ReportTransfer) -> str:
        return await self._saving.push(image, report)

    async def diagnostics(self) -> Mapping[str, Any]:
        return {
            "info": await self._ask_json("/info"),
            "version": await self._ask_json("/version"),
        }

    async def aclose(self) -> None:
        self._docker.close()

    async def _undo(self, creation: Creation) -> None:
        try:
            await self._docker.call(creation.undo)
        except EngineError as error:
            # What made the creation fail says more; the engine is probably gone.
            _log.warning("A container could not be removed again: %s", error.detail)

    async def _inspect_if_there(self, container_id: str) -> ContainerState | None:
        try:
            return await self.inspect(container_id)
        except ContainerNotFoundError:
            return None

    async def _remove(self, container_id: str, labels: Mapping[str, str] | None) -> None:
        try:
            volumes = await self._docker.call(
                lambda client: named_volumes(client, container_id), missing=ContainerNotFoundError
            )
        except ContainerNotFoundError:
            return
        await remove_container(self._docker, container_id)
        if labels is not None:
            for name in volumes:
                await self._docker.call(partial(remove_volume, name=name, labels=labels))

    async def _run(self, container_id: str) -> RunResult:
        await self.start(container_id)
        async with self._docker.asking("POST", f"/containers/{container_id}/wait") as answer:
            exit_code = int(json.loads(await answer.read_all(_JSON_LIMIT))["StatusCode"])
        return RunResult(
            exit_code=exit_code,
            stdout=await self._output(container_id, "stdout"),
            stderr=await self._output(container_id, "stderr"),
        )

    async def _output(self, container_id: str, stream: str) -> bytes:
        output = bytearray()
        async with self._docker.asking(
            "GET", f"/containers/{container_id}/logs", query={stream: "1"}
        ) as answer:
            frames = Frames(answer)
            while len(output) < _OUTPUT_LIMIT and (data := (await frames.next())[1]):
                output += data
        return bytes(output[:_OUTPUT_LIMIT])

    async def _ask_json(self, path: str) -> Any:
        async with self._docker.asking("GET", path) as answer:
            return json.loads(await answer.read_all(_JSON_LIMIT))

    async def _events(self, since: float) -> AsyncIterator[EngineEvent]:
        query = {
            "filters": json.dumps({"type": ["container"], "event": _EVENTS}),
            "since": f"{since:.9f}",
        }
        async with self._docker.asking("GET", "/events", query=query) as answer:
            async for line in answer.lines():
                actor = line["Actor"]
                attributes = actor.get("Attributes") or {}
                if any(key.startswith(PREFIX) for key in attributes):
                    yield EngineEvent(
                        action=line["Action"], container_id=actor["ID"], labels=attributes
                    )
        raise EngineUnreachableError("The engine went away.")


def _nvidia_hook() -> bool:
    """Tell whether NVIDIA's hook is on this machine, and so, very likely, on dockerd's PATH."""
    return shutil.which("nvidia-container-runtime-hook") is not None
