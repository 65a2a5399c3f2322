"""Taking an environment elsewhere: as a file for another tool."""

from __future__ import annotations

from .access.export import Export, export
from .access.portable import portable
from .engines.base import ImageFacts, SupportsImages
from .environments import Environments
from .errors import CapabilityMissingError, ImageNotFoundError
from .labels import BASE
from .models import Environment
from .plan import process_user


async def export_environment(
    environments: Environments, name: str, target: str, *, project: str = ""
) -> Export:
    """Return an environment as a file for another tool, as ``access.export`` does.

    Raises:
        EnvironmentNotFoundError, InvalidSpecError
        CapabilityMissingError: The engine runs plain processes, which no other tool can.
    """
    environment = await environments.get(name)
    engine = environments.engine
    if not isinstance(engine, SupportsImages):
        raise CapabilityMissingError(
            f"The environment {name!r} is a plain process, which other tools cannot start."
        )
    user = process_user(environment.spec, environments.caller, await engine.probe())
    image = await named_image(engine, environment)
    return export(portable(environment, image, user=user), target, project=project)


async def named_image(engine: SupportsImages, environment: Environment) -> ImageFacts | None:
    """Return the image that the user named, below what a kernel may have needed.

    Not by its name, which may mean another image by now.
    """
    try:
        runs = await engine.inspect_image(environment.image_id)
        base = runs.labels.get(BASE)
        return await engine.inspect_image(base) if base else runs
    except ImageNotFoundError:
        return None
