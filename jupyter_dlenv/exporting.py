"""Exporting an environment that there is: what is known of it, gathered for ``access.export``."""

from __future__ import annotations

from .access.export import Export, export
from .access.portable import portable
from .engines.base import SupportsImages
from .environments import Environments
from .errors import CapabilityMissingError
from .plan import process_user
from .saving import named_image


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
