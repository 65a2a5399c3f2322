"""How Docker fetches, builds and lists images."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress

from docker import APIClient
from docker.auth import encode_header, load_config, resolve_repository_name
from docker.utils import parse_repository_tag

from ..docker_credentials import find_credentials
from ..errors import (
    BuildFailedError,
    DiskFullError,
    DlenvError,
    ImageNotFoundError,
    RegistryRefusedError,
)
from .base import FileToPut, ImageFacts, ReportTransfer
from .completion import to_its_end
from .docker_connection import DockerConnection
from .docker_context import directory_archive, files_archive
from .docker_creation import remove_container
from .docker_errors import refusal, registry_refusal, translated
from .docker_progress import BuildProgress, PullProgress
from .docker_values import image_facts, listed_image_facts
from .reports import Reports


class DockerImages:
    """The images of one engine."""

    def __init__(self, connection: DockerConnection) -> None:
        self._connection = connection

    async def pull(self, image: str, report: ReportTransfer) -> ImageFacts:
        repository, tag = parse_repository_tag(image)
        with translated(self._connection.endpoint.url):
            registry, _ = resolve_repository_name(repository)
        query = {"fromImage": repository, "tag": tag or "latest"}
        login = await find_credentials(registry)
        if login is not None:
            try:
                return await self._pull(image, query, login.for_engine(registry), report)
            except RegistryRefusedError:
                # A login that is no longer good makes even public images fail.
                with suppress(DlenvError):
                    return await self._pull(image, query, "", report)
                # What the login met says more than what a stranger meets.
                raise
        return await self._pull(image, query, "", report)

    async def _pull(
        self, image: str, query: Mapping[str, str], login: str, report: ReportTransfer
    ) -> ImageFacts:
        def refused(_status: int, text: str) -> DlenvError:
            return registry_refusal(image, text)

        progress = PullProgress()
        headers = {"X-Registry-Auth": login} if login else {}
        async with self._connection.asking(
            "POST", "/images/create", query=query, headers=headers, refused=refused
        ) as answer:
            with Reports(report) as reports:
                async for line in answer.lines():
                    if "error" in line:
                        raise registry_refusal(image, str(line["error"]))
                    reports.add(progress.add(line))
        return await self.inspect(image)

    async def build(
        self,
        *,
        tag: str,
        report: ReportTransfer,
        directory: str,
        dockerfile: str,
        files: tuple[FileToPut, ...],
        labels: Mapping[str, str],
        network: bool,
    ) -> ImageFacts:
        progress = BuildProgress()
        with translated(self._connection.endpoint.url):
            query, headers = await self._connection.run(_build_request, tag, labels, network)
        if directory:
            archive = directory_archive(directory)
        else:
            recipe = FileToPut(path="Dockerfile", content=dockerfile.encode())
            archive = iter([files_archive((recipe, *files))])
        try:
            async with self._connection.asking(
                "POST",
                "/build",
                query=query,
                headers=headers,
                body=self._pieces(archive),
                refused=_build_refused,
            ) as answer:
                with Reports(report) as reports:
                    async for line in answer.lines():
                        reports.add(progress.add(line))
        finally:
            if progress.container_id:
                # The engine removes it too, but some time after we have gone.
                await to_its_end(remove_container(self._connection, progress.container_id))
        if progress.error:
            raise _build_refused(0, progress.error, progress)
        return await self.inspect(tag)

    async def inspect(self, image: str) -> ImageFacts:
        def work(client: APIClient) -> ImageFacts:
            return image_facts(client.inspect_image(image))

        return await self._connection.call(work, missing=ImageNotFoundError)

    async def list(self) -> tuple[ImageFacts, ...]:
        entries = await self._connection.call(lambda client: client.images())
        images = [listed_image_facts(entry) for entry in entries]
        tagged = [image for image in images if image.tags and image.tags != ("<none>:<none>",)]
        return tuple(sorted(tagged, key=lambda image: image.created, reverse=True))

    async def layers(self) -> tuple[tuple[str, ...], ...]:
        entries = await self._connection.call(lambda client: client.images())
        found = [
            e["Id"] for e in entries if any("@sha256:" in d for d in e.get("RepoDigests") or ())
        ]
        return tuple(filter(None, await asyncio.gather(*map(self._layers_of, found))))

    async def _layers_of(self, image_id: str) -> tuple[str, ...]:
        def work(client: APIClient) -> tuple[str, ...]:
            root = client.inspect_image(image_id).get("RootFS") or {}
            return tuple(root.get("Layers") or ())

        try:
            return await self._connection.call(work, missing=ImageNotFoundError)
        except ImageNotFoundError:
            # Removed since it was listed.
            return ()

    async def _pieces(self, archive: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._connection.run(next, archive, b""):
            yield piece


def _build_request(
    tag: str, labels: Mapping[str, str], network: bool
) -> tuple[dict[str, str], dict[str, str]]:
    query = {
        "t": tag,
        "labels": json.dumps(dict(labels)),
        "rm": "1",
        # ``rm`` alone keeps the container of a step that failed.
        "forcerm": "1",
    }
    if not network:
        query["networkmode"] = "none"
    logins = load_config().get_all_credentials()
    headers = {"Content-Type": "application/x-tar"}
    if logins:
        headers["X-Registry-Config"] = encode_header(logins).decode("ascii")
    return query, headers


def _build_refused(status: int, text: str, progress: BuildProgress | None = None) -> DlenvError:
    if isinstance(error := refusal(status, text), DiskFullError):
        return error
    step = progress.message if progress else ""
    output = progress.output if progress else ""
    return BuildFailedError(
        f"The build failed at {step}." if step else "The engine refused the build.",
        detail=f"{output}{text}",
    )
