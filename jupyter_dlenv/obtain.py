"""How the image of a launch comes to be on the engine, and fit for a kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .engines.base import Engine, ImageFacts, SupportsImages, TransferProgress
from .errors import ImageNotFoundError
from .images.library import ImageLibrary
from .images.prepare import ImageEngine, PreparedImage, build_directory, prepare_image
from .labels import LAUNCHER, OWNER
from .launcher import own_identity
from .models import EnvironmentSpec, Phase, Progress

ReportProgress = Callable[[Progress], None]
"""Called on the event loop for each step of a launch; must not block."""


async def obtain(
    engine: Engine,
    spec: EnvironmentSpec,
    *,
    library: ImageLibrary,
    build_dir: str,
    owner: str,
    cache_dir: Path,
    report: ReportProgress,
    ssh: bool = False,
) -> PreparedImage | None:
    """Find, pull or build the image, and add what a kernel needs, and an SSH server.

    Returns:
        ``None`` on an engine that has no images.
    """
    report(Progress(phase=Phase.PULLING, message=spec.image))
    if not isinstance(engine, SupportsImages):
        report(Progress(phase=Phase.PREPARING))
        return None
    image = await _image(engine, library, spec, build_dir, owner, report)
    report(Progress(phase=Phase.PREPARING, message="Looking into the image"))
    return await prepare_image(
        engine,
        image,
        labels={OWNER: owner, LAUNCHER: own_identity()},
        cache_dir=cache_dir,
        report=forwarder(Phase.PREPARING, report),
        ssh=ssh,
    )


async def _image(
    engine: ImageEngine,
    library: ImageLibrary,
    spec: EnvironmentSpec,
    build_dir: str,
    owner: str,
    report: ReportProgress,
) -> ImageFacts:
    if build_dir:
        return await build_directory(
            engine,
            build_dir,
            name=spec.name,
            labels={OWNER: owner},
            report=forwarder(Phase.PULLING, report),
        )
    try:
        return await engine.inspect_image(spec.image)
    except ImageNotFoundError:
        return await library.fetch(spec.image, forwarder(Phase.PULLING, report))


def forwarder(phase: Phase, report: ReportProgress) -> Callable[[TransferProgress], None]:
    """Return what turns reports of an engine into those of a phase."""

    def forward(progress: TransferProgress) -> None:
        report(
            Progress(
                phase=phase,
                message=progress.message,
                current=progress.current,
                total=progress.total,
                layers=progress.layers,
                log=progress.log,
                speed=progress.speed,
                seconds_left=progress.seconds_left,
                warnings=progress.warnings,
            )
        )

    return forward
