"""How Docker fetches, builds and lists images."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping

from docker import APIClient
from docker.auth import encode_header, load_config, resolve_authconfig, resolve_repository_name
from docker.utils import parse_repository_tag

from ..errors import BuildFailedError, DiskFullError, DlenvError, ImageNotFoundError
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
        def refused(_status: int, text: str) -> DlenvError:
            return registry_refusal(image, text)

        progress = PullProgress()
        with translated(self._connection.endpoint.url):
            query, headers = await self._connection.run(_pull_request, image)
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

    async def _pieces(self, archive: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._connection.run(next, archive, b""):
            yield piece


def _pull_request(image: str) -> tuple[dict[str, str], dict[str, str]]:
    # Blocks: a credential helper may have to be asked for the user's login.
    repository, tag = parse_repository_tag(image)
    registry, _ = resolve_repository_name(repository)
    login = resolve_authconfig(load_config(), registry)
    headers = {"X-Registry-Auth": encode_header(login).decode("ascii")} if login else {}
    return {"fromImage": repository, "tag": tag or "latest"}, headers


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
