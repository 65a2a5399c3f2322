"""From any image to one in which a Jupyter kernel, and an SSH server, can run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from ..engines.base import (
    Engine,
    FileToPut,
    ImageFacts,
    ReportTransfer,
    SupportsImages,
    TransferProgress,
)
from ..errors import (
    BuildFailedError,
    ImageNotFoundError,
    ImageUnsupportedError,
    InvalidSpecError,
)
from ..labels import BASE
from ..labels import RECIPE as RECIPE_LABEL
from ..models import validate_name
from .carried_sshd import carried_sshd
from .distributions import DISTRIBUTIONS
from .exclusive import exclusive
from .parts import fetch_parts, fetch_ssh_parts
from .probe import ImageProbe, probe_image
from .recipe import CARRIED, RECIPE, Sshd, dockerfile, prepared_tag

_log = logging.getLogger(__name__)


class ImageEngine(Engine, SupportsImages, Protocol):
    """An engine that runs images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedImage:
    """An image in which a kernel can run.

    Attributes:
        probe: Of this image.
        derived_from: Id of the image that the user named, if something was added to it.
        dockerfile: How it was added.
    """

    image_id: str
    probe: ImageProbe
    derived_from: str = ""
    dockerfile: str = ""


async def prepare_image(
    engine: ImageEngine,
    image: ImageFacts,
    *,
    labels: Mapping[str, str],
    cache_dir: Path,
    report: ReportTransfer,
    ssh: bool = False,
) -> PreparedImage:
    """Look into an image and add what a kernel needs, if that is missing.

    Takes about a second when nothing is missing, some ten seconds the first time when
    something is, and no time from then on.  Cancelling leaves no container and no tag.

    Args:
        labels: Of the short-lived containers.
        ssh: Add an SSH server as well, if that is missing.  An image to which none can be
            added is prepared without one.

    Raises:
        ImageUnsupportedError: Nothing can be added to such an image.
        BuildFailedError: The adding failed; the output is in ``detail``.
    """
    probe = await probe_image(engine, image, labels=labels, cache_dir=cache_dir)
    missing = ssh and not probe.sshd
    if probe.ipykernel and not missing:
        return PreparedImage(image_id=image.id, probe=probe)
    if not probe.ipykernel and not probe.python and probe.os_family not in DISTRIBUTIONS:
        name = image.tags[0] if image.tags else image.id
        raise ImageUnsupportedError(
            f"{name} has no Python 3.8 or newer, "
            f"and {probe.os_family or 'an unknown system'} cannot be given one."
        )
    bench = _Bench(engine, image, probe, labels, report)
    prepared: ImageFacts | None = None
    if missing:
        tag = prepared_tag(image.id, sshd=True)
        prepared = await _once(bench, tag, cache_dir, bench.build_with_sshd)
        if prepared is None and probe.ipykernel:
            return PreparedImage(image_id=image.id, probe=probe)
    if prepared is None:
        tag = prepared_tag(image.id)
        prepared = await _once(bench, tag, cache_dir, bench.build)
    now = await probe_image(
        engine,
        prepared,
        labels=labels,
        cache_dir=cache_dir,
        try_entrypoint=probe.entrypoint_runs_commands,
    )
    if not now.ipykernel:
        raise BuildFailedError(
            "The Jupyter kernel was added to the image, but Python does not find it there.",
            hint=f"Remove {tag} and try again.",
            detail=dockerfile(image, probe),
        )
    return PreparedImage(
        image_id=prepared.id,
        probe=now,
        derived_from=image.id,
        dockerfile=dockerfile(image, probe, sshd=_way(now) if missing else Sshd.NOT),
    )


async def build_directory(
    engine: SupportsImages,
    directory: str,
    *,
    name: str,
    labels: Mapping[str, str],
    report: ReportTransfer,
) -> ImageFacts:
    """Build the user's own Dockerfile, as ``dlenv/build:NAME``.

    Raises:
        InvalidSpecError: There is no such directory, or no Dockerfile in it.
        BuildFailedError: A step failed; its output is in ``detail``.
    """
    path = await asyncio.to_thread(_with_dockerfile, directory)
    # Not in the repository part: a name may end in '-', which is refused there.
    tag = f"dlenv/build:{validate_name(name)}"
    return await engine.build(tag=tag, directory=str(path), labels=labels, report=report)


def _with_dockerfile(directory: str) -> Path:
    path = Path(directory).expanduser().absolute()
    if not path.is_dir():
        raise InvalidSpecError(f"There is no directory {path} to build.")
    if not (path / "Dockerfile").is_file():
        raise InvalidSpecError(
            f"There is no Dockerfile in {path}.", hint="Name the directory that has it."
        )
    return path


def _way(prepared: ImageProbe) -> Sshd:
    if not prepared.sshd:
        return Sshd.NOT
    return Sshd.CARRIED if prepared.sshd.startswith(CARRIED) else Sshd.PACKAGES


_Build = TypeVar("_Build", ImageFacts, ImageFacts | None)


async def _once(
    bench: _Bench, tag: str, cache_dir: Path, build: Callable[[str], Awaitable[_Build]]
) -> ImageFacts | _Build:
    """Return the image of that tag; of all launches that lack it, one builds it."""
    found = await bench.find(tag)
    if found is not None:
        return found

    def waiting() -> None:
        bench.report(TransferProgress(message="Another launch is preparing this image"))

    async with exclusive(cache_dir / f"{tag.partition(':')[2]}.lock", waiting=waiting):
        found = await bench.find(tag)
        return found if found is not None else await build(tag)


class _Bench:
    """Builds what one image becomes."""

    def __init__(
        self,
        engine: ImageEngine,
        image: ImageFacts,
        probe: ImageProbe,
        labels: Mapping[str, str],
        report: ReportTransfer,
    ) -> None:
        self.report = report
        self._engine = engine
        self._image = image
        self._probe = probe
        self._labels = labels

    async def find(self, tag: str) -> ImageFacts | None:
        try:
            found = await self._engine.inspect_image(tag)
        except ImageNotFoundError:
            return None
        ours = found.labels.get(BASE) == self._image.id and found.labels.get(RECIPE_LABEL) == RECIPE
        return found if ours else None

    async def build(self, tag: str) -> ImageFacts:
        self.report(TransferProgress(message="Adding a Jupyter kernel to the image"))
        return await self._make(tag, Sshd.NOT, await self._kernel_parts())

    async def build_with_sshd(self, tag: str) -> ImageFacts | None:
        """Add packages of the image's distribution, or else this machine's own server."""
        kernel = () if self._probe.ipykernel else await self._kernel_parts()
        self.report(TransferProgress(message="Adding an SSH server to the image"))
        ways = [Sshd.PACKAGES] * (self._probe.os_family in DISTRIBUTIONS) + [Sshd.CARRIED]
        for way in ways:
            try:
                return await self._make(tag, way, (*kernel, *await self._ssh_parts(way)))
            except BuildFailedError as error:
                _log.info("No SSH server (%s): %s %s", way.value, error, error.detail)
                self.report(TransferProgress(message=str(error), log=f"{error}\n{error.detail}\n"))
        return None

    async def _kernel_parts(self) -> tuple[FileToPut, ...]:
        parts = await fetch_parts(
            self._engine, self._image, self._probe, labels=self._labels, report=self.report
        )
        return tuple(replace(part, path=f"parts/{part.path}") for part in parts)

    async def _ssh_parts(self, way: Sshd) -> tuple[FileToPut, ...]:
        if way is Sshd.CARRIED:
            files = await carried_sshd(self._probe.architecture)
            return tuple(replace(file, path=f"carried/{file.path}") for file in files)
        distribution = DISTRIBUTIONS[self._probe.os_family]
        packages = await fetch_ssh_parts(
            self._engine, self._image, distribution, labels=self._labels, report=self.report
        )
        return tuple(replace(package, path=f"parts/{package.path}") for package in packages)

    async def _make(self, tag: str, sshd: Sshd, files: tuple[FileToPut, ...]) -> ImageFacts:
        recipe = dockerfile(self._image, self._probe, sshd=sshd)
        self.report(TransferProgress(message="Building the image", log=recipe))
        # A file may be among the parts of both.
        distinct = {file.path: file for file in files}
        return await self._engine.build(
            tag=tag,
            dockerfile=recipe,
            files=tuple(distinct.values()),
            labels={BASE: self._image.id, RECIPE_LABEL: RECIPE},
            network=False,
            report=self.report,
        )
