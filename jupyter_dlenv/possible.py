"""What an engine cannot do for a spec, by its nature or for what is missing on its machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .engines.base import Engine, SupportsImages
from .errors import (
    ImageNotFoundError,
    InvalidSpecError,
    MountMissingError,
)
from .models import EnvironmentSpec
from .secrecy import without_password


async def check_possible(engine: Engine, spec: EnvironmentSpec, *, local: bool) -> None:
    """Refuse what cannot work on an engine, before anything is made.

    Args:
        local: Paths of this machine are paths of the engine's host.
    """
    if spec.engine not in ("", engine.name):
        raise InvalidSpecError(
            f"This is the engine {without_password(engine.name)!r}, not {spec.engine!r}.",
            hint="Leave the engine out, or ask the other engine.",
        )
    if not isinstance(engine, SupportsImages) and spec.image != "python":
        raise ImageNotFoundError(
            f"The engine {engine.name!r} has no images: it runs plain processes.",
            hint="Launch the image `python`, which stands for this machine's own Python.",
        )
    if local:
        for mount in spec.mounts:
            if not await asyncio.to_thread(Path(mount.source).exists):
                raise MountMissingError(f"There is no {mount.source} to mount.")
