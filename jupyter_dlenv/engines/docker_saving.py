"""How Docker makes an image of a container, and gives images to registries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from docker import APIClient
from docker.auth import resolve_repository_name
from docker.errors import APIError
from docker.utils import parse_repository_tag

from ..docker_credentials import Credentials, find_credentials
from ..errors import ContainerNotFoundError, DlenvError
from .base import ImageFacts, ReportTransfer
from .completion import to_its_end
from .docker_connection import DockerConnection
from .docker_errors import push_refusal, refusal
from .docker_images import DockerImages
from .docker_progress import PushProgress
from .docker_values import commit_request
from .reports import Reports

_ANSWER_LIMIT = 64 * 1024


class DockerSaving:
    """Turns containers of one engine into images."""

    def __init__(self, connection: DockerConnection, images: DockerImages) -> None:
        self._connection = connection
        self._images = images

    async def commit(
        self, container_id: str, *, tag: str, like: ImageFacts, labels: Mapping[str, str]
    ) -> ImageFacts:
        def config(client: APIClient) -> dict[str, Any]:
            container = client.inspect_container(container_id)["Config"]
            return commit_request(container, like=like, labels=labels)

        body = await self._connection.call(config, missing=ContainerNotFoundError)
        # The engine does not stop a commit whose asker has gone, so there is something to undo.
        committing = asyncio.ensure_future(self._commit(container_id, body))
        try:
            committed = await to_its_end(committing)
            # Beside the image's settings, Docker keeps those of the container it was made of,
            # secrets included. What is built on it has only the image's.
            return await self._images.build(
                tag=tag,
                dockerfile=f"FROM {committed}\nCMD {json.dumps(body['Cmd'])}\n",
                labels=labels,
                network=False,
                directory="",
                files=(),
                report=lambda _: None,
            )
        finally:
            if committing.done() and not committing.cancelled() and not committing.exception():
                await to_its_end(self._connection.call(_removal(committing.result())))

    async def push(self, image: str, report: ReportTransfer) -> str:
        def refused(_status: int, text: str) -> DlenvError:
            return push_refusal(image, text)

        repository, tag = parse_repository_tag(image)
        registry, _ = resolve_repository_name(repository)
        login = await find_credentials(registry) or Credentials()
        progress = PushProgress()
        async with self._connection.asking(
            "POST",
            f"/images/{repository}/push",
            query={"tag": tag or "latest"},
            headers={"X-Registry-Auth": login.for_engine(registry)},
            refused=refused,
        ) as answer:
            with Reports(report) as reports:
                async for line in answer.lines():
                    if "error" in line:
                        raise push_refusal(image, str(line["error"]))
                    reports.add(progress.add(line))
        return progress.digest

    async def _commit(self, container_id: str, body: Mapping[str, Any]) -> str:
        def refused(status: int, text: str) -> DlenvError:
            return refusal(status, text, missing=ContainerNotFoundError)

        async with self._connection.asking(
            "POST",
            "/commit",
            query={"container": container_id, "pause": "1"},
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
            refused=refused,
        ) as answer:
            return str(json.loads(await answer.read_all(_ANSWER_LIMIT))["Id"])


def _removal(image_id: str) -> Any:
    def remove(client: APIClient) -> None:
        try:
            client.remove_image(image_id)
        except APIError as error:
            # Gone, or below what was built on it: then it goes with that.
            if error.status_code not in (404, 409):
                raise

    return remove
