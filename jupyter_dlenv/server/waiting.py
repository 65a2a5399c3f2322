"""Launches that wait for GPUs across restarts of the server: what is kept of them on the engine."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping

from ..environments import Environments
from ..errors import DlenvError, InvalidSpecError
from ..gpus.line import PlaceInLine, places_left
from ..models import EnvironmentSpec
from ..untrusted import strings, typed
from .jobs import Jobs, Project

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 30.0


def new_place(
    spec: EnvironmentSpec, build_dir: str, authorize: tuple[str, ...] = (), project: str = ""
) -> PlaceInLine:
    """Return a place in line which a later server can take over.

    Args:
        project: The path of the ``dlenv.toml`` that the launch is of.
    """
    kept = {
        "spec": spec.to_json(),
        "build_dir": build_dir,
        "authorize": authorize,
        "project": project,
    }
    return PlaceInLine(keep=json.dumps(kept))


async def take_over(
    environments: Callable[[], Environments],
    jobs: Jobs,
    opened: Callable[[str, EnvironmentSpec], Project | None],
) -> None:
    """Go on waiting where servers of this owner have left off that are gone.

    Args:
        opened: Reads the project that a launch is of, in a thread.
    """
    while True:
        try:
            asked = environments()
            places = await places_left(asked.engine, owner=asked.owner)
        except DlenvError as error:
            _log.debug("Nobody can be found who waits for GPUs: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            break
    for place in places:
        try:
            spec, build_dir, keys, path = _read(place.keep)
            project = await _project(path, spec, opened)
            jobs.launch(spec, build_dir=build_dir, line=place, authorize=keys, project=project)
        except DlenvError as error:
            _log.warning("A launch that waited for GPUs cannot go on: %s", error)


async def _project(
    path: str, spec: EnvironmentSpec, opened: Callable[[str, EnvironmentSpec], Project | None]
) -> Project | None:
    try:
        return await asyncio.to_thread(opened, path, spec) if path else None
    except DlenvError as error:
        _log.warning("The image of %r will not be pinned: %s", spec.name, error)
        return None


def _read(keep: str) -> tuple[EnvironmentSpec, str, tuple[str, ...], str]:
    try:
        value = json.loads(keep)
    except ValueError as error:
        raise InvalidSpecError("What was kept of it is not JSON.") from error
    if not isinstance(value, Mapping):
        raise InvalidSpecError("What was kept of it is no object.")
    spec = EnvironmentSpec.from_json(value.get("spec"))
    build_dir, project = (typed(value, name, str, "") for name in ("build_dir", "project"))
    return spec, build_dir, tuple(strings(value, "authorize")), project
