"""Freezing an environment into an image: what was installed in it, and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ._version import __version__
from .carrying import Carried, packages_carried
from .engines.base import ImageFacts, SupportsImages, TransferProgress
from .engines.commit import SupportsCommit
from .environments import Environments
from .errors import (
    CapabilityMissingError,
    ImageExistsError,
    ImageNotFoundError,
    InvalidSpecError,
)
from .images.pin import registry_digest
from .images.reference import ImageReference
from .labels import BASE, SAVED_BY, SAVED_FROM
from .models import Environment, Phase, Progress

_OCI = "org.opencontainers.image"
_MOST_NAMED = 8

ReportProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """An image that was made of an environment.

    Attributes:
        digest: What the registry knows it by; empty if it was not pushed.
        notes: What is in it and what is not, for people.
    """

    image: str
    image_id: str
    size: int
    digest: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "image_id": self.image_id,
            "size": self.size,
            "digest": self.digest,
            "notes": list(self.notes),
        }


async def save_environment(
    environments: Environments,
    name: str,
    image: str,
    *,
    push: bool = False,
    replace: bool = False,
    report: ReportProgress = lambda _: None,
) -> SavedImage:
    """Make an image of an environment, and give it to its registry if that is wanted.

    Its processes stand still for a moment.  Cancelling leaves no image, or, once it is
    being pushed, the image on the engine.

    Args:
        image: ``REPOSITORY:TAG`` of the image to be.
        push: With the user's login for the registry.
        replace: An image that has the name already loses it.

    Raises:
        NotAllowedError, InvalidSpecError, EnvironmentNotFoundError, CapabilityMissingError
        ImageExistsError: An image has the name, and is not to be replaced.
        RegistryRefusedError, RegistryUnreachableError: It is on the engine, but not pushed.
    """
    environments.policy.check_saving()
    reference = ImageReference.parse(image)
    if reference.digest:
        raise InvalidSpecError(f"{image} has a digest, which only a registry can give.")
    tag = str(reference)
    report(Progress(phase=Phase.QUEUED))
    environment = await environments.get(name)
    engine = environments.engine
    if not isinstance(engine, SupportsImages) or not isinstance(engine, SupportsCommit):
        raise CapabilityMissingError(f"No image can be made on the engine {engine.name!r}.")
    if not replace and await _exists(engine, tag):
        raise ImageExistsError(f"The engine has an image {tag} already.")
    runs = await engine.inspect_image(environment.image_id)
    named = await named_image(engine, environment)
    report(Progress(phase=Phase.SAVING, message="The environment stands still for a moment"))
    async with packages_carried(environments, environment) as carried:
        saved = await engine.commit(
            environment.container_id,
            tag=tag,
            like=runs,
            labels={**(named or runs).labels, BASE: "", **_origin(environment, named)},
        )
    notes = _notes(environment, carried)
    digest = ""
    if push:
        report(Progress(phase=Phase.PUSHING, message=tag))
        digest = await engine.push(tag, lambda progress: report(_pushing(progress)))
    return SavedImage(image=tag, image_id=saved.id, size=saved.size, digest=digest, notes=notes)


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


def _origin(environment: Environment, named: ImageFacts | None) -> Mapping[str, str]:
    image = environment.spec.image
    return {
        f"{_OCI}.base.name": image,
        f"{_OCI}.base.digest": registry_digest(image, named) if named else "",
        f"{_OCI}.created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        SAVED_FROM: environment.name,
        SAVED_BY: f"jupyter_dlenv {__version__}",
    }


async def _exists(engine: SupportsImages, tag: str) -> bool:
    try:
        await engine.inspect_image(tag)
    except ImageNotFoundError:
        return False
    return True


def _notes(environment: Environment, carried: Carried) -> tuple[str, ...]:
    """Return what a user could miss in the image, or wonder about."""
    notes = [f"The home directory {environment.home} is not in the image, nor what is mounted."]
    if carried.packages:
        more = len(carried.packages) - _MOST_NAMED
        names = ", ".join(carried.packages[:_MOST_NAMED])
        names += f" and {more} more" if more > 0 else ""
        notes.append(f"What pip has installed there is in the image all the same: {names}.")
    elif carried.problem:
        notes.append(
            f"Packages that pip may have installed there are missing in it: {carried.problem}."
        )
    return tuple(notes)


def _pushing(progress: TransferProgress) -> Progress:
    return Progress(
        phase=Phase.PUSHING,
        message=progress.message,
        current=progress.current,
        total=progress.total,
        layers=progress.layers,
    )
