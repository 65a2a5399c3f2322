"""From any image to one in which a Jupyter kernel can run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..engines.base import (
    Engine,
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
from .exclusive import exclusive
from .parts import fetch_parts
from .probe import ImageProbe, probe_image
from .recipe import RECIPE, dockerfile, prepared_tag


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
) -> PreparedImage:
    """Look into an image and add what a kernel needs, if that is missing.

    Takes about a second when nothing is missing, some ten seconds the first time when
    something is, and no time from then on.  Cancelling leaves no container and no tag.

    Args:
        labels: Of the short-lived containers.

    Raises:
        ImageUnsupportedError: Nothing can be added to such an image.
        BuildFailedError: The adding failed; the output is in ``detail``.
    """
    probe = await probe_image(engine, image, labels=labels, cache_dir=cache_dir)
    if probe.ipykernel:
        return PreparedImage(image_id=image.id, probe=probe)
    if not probe.python and probe.os_family != "debian":
        name = image.tags[0] if image.tags else image.id
        system = probe.os_family or "an unknown system"
        raise ImageUnsupportedError(
            f"{name} has no Python 3.8 or newer, and {system} cannot be given one."
        )
    recipe = dockerfile(image, probe)
    tag = prepared_tag(image.id)
    prepared = await _find(engine, image, tag)
    if prepared is None:

        def waiting() -> None:
            report(TransferProgress(message="Another launch is preparing this image"))

        async with exclusive(cache_dir / f"{tag.partition(':')[2]}.lock", waiting=waiting):
            prepared = await _find(engine, image, tag)
            if prepared is None:
                prepared = await _build(engine, image, probe, tag, recipe, labels, report)
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
            detail=recipe,
        )
    return PreparedImage(
        image_id=prepared.id,
        probe=now,
        derived_from=image.id,
        dockerfile=recipe,
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


async def _find(engine: SupportsImages, image: ImageFacts, tag: str) -> ImageFacts | None:
    try:
        found = await engine.inspect_image(tag)
    except ImageNotFoundError:
        return None
    ours = found.labels.get(BASE) == image.id and found.labels.get(RECIPE_LABEL) == RECIPE
    return found if ours else None


async def _build(
    engine: ImageEngine,
    image: ImageFacts,
    probe: ImageProbe,
    tag: str,
    recipe: str,
    labels: Mapping[str, str],
    report: ReportTransfer,
) -> ImageFacts:
    report(TransferProgress(message="Adding a Jupyter kernel to the image", log=recipe))
    parts = await fetch_parts(engine, image, probe, labels=labels, report=report)
    return await engine.build(
        tag=tag,
        dockerfile=recipe,
        files=tuple(replace(part, path=f"parts/{part.path}") for part in parts),
        labels={BASE: image.id, RECIPE_LABEL: RECIPE},
        network=False,
        report=report,
    )
