"""What `launch` takes from a project: its dlenv.toml, and the image that dlenv.lock pins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engines.base import SupportsImages
from ..errors import ImageError, ImageNotFoundError
from ..images.pin import pinned
from ..images.reference import ImageReference
from ..images.registry import Registry
from ..lockfile import FILE_NAME as LOCK_NAME
from ..lockfile import Lock, pin, read_lock
from ..models import EnvironmentSpec
from ..specfile import SpecFile, find, merged, read
from .arguments import name_for
from .text import clean

if TYPE_CHECKING:
    from ..configuration import Configuration
    from ..environments import Environments


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A dlenv.toml, and what the command line adds to it."""

    file: SpecFile
    spec: EnvironmentSpec
    update_lock: bool

    @property
    def lock_path(self) -> Path:
        return self.file.directory / LOCK_NAME

    def announce(self) -> None:
        """Say what is used, and what of it reaches beyond the project."""
        _say(f"Using {self.file.path}")
        for line in self.file.beyond(self.spec):
            _say(f"  it {line}")
        if self.update_lock and self.file.build:
            _say("  nothing is pinned: the image is built from the Dockerfile at each launch")

    async def pinned(self, environments: Environments) -> EnvironmentSpec:
        """Return the spec with the image that the lock pins.

        Raises:
            LockOutdatedError: The lock is for another image.
            InvalidSpecFileError: The lock cannot be read.
        """
        engine = environments.engine
        if self.file.build or not isinstance(engine, SupportsImages):
            return self.spec
        image, library = self.spec.image, environments.library
        if self.update_lock:
            architecture = (await engine.probe()).architecture
            newest = await _newest(await library.resolve(image), architecture)
            return replace(self.spec, image=newest)
        lock = await asyncio.to_thread(read_lock, self.lock_path)
        if lock is None:
            return self.spec
        entry = library.catalogue.find(image.partition(":")[0])
        repository = library.catalogue.repository(entry) if entry else ""
        wanted = lock.pinned(image, path=self.lock_path, repository=repository)
        if not lock.digest:
            try:
                lock.check(await engine.inspect_image(wanted), path=self.lock_path)
            except ImageNotFoundError:
                _say(f"{self.lock_path} pins an image that is on another engine only: {image}")
        return replace(self.spec, image=wanted)

    async def pin(self, environments: Environments, launched: str) -> Lock | None:
        """Write the lock, unless there is one that need not change.

        Args:
            launched: The image's reference as it was launched.

        Returns:
            The lock that was written.
        """
        if self.file.build:
            return None
        lock = await pin(
            environments.engine,
            self.lock_path,
            image=self.spec.image,
            launched=launched,
            anew=self.update_lock,
        )
        if lock is None:
            return None
        if lock.digest:
            _say(f"{self.lock_path} pins {lock.image} as {lock.digest}.")
        else:
            _say(
                f"{self.lock_path} has the id of {lock.image}: no registry knows that image, so "
                "others cannot get it."
            )
        return lock


def open_project(
    configuration: Configuration,
    given: Mapping[str, Any],
    *,
    name: str,
    path: Path | None,
    update_lock: bool,
) -> Project | None:
    """Return the project that the current directory is in, if it is in one.

    Args:
        given: Fields of the spec that the command line sets.
        path: Of the file, if the user names it.

    Raises:
        InvalidSpecFileError
    """
    path = path or find(Path.cwd())
    if path is None:
        return None
    file = read(path, engines=("docker", *configuration.engines))
    spec = file.spec(name=name, otherwise=name_for(file.directory.name, ()))
    return Project(file=file, spec=merged(spec, given), update_lock=update_lock)


async def _newest(image: str, architecture: str) -> str:
    """Return the image pinned as the registry has it now, or as it is if that is not known."""
    reference = ImageReference.parse(image)
    if reference.digest:
        return image
    try:
        async with Registry(reference.registry) as registry:
            manifest = await registry.manifest(reference, architecture)
    except ImageError as error:
        _say(f"What the engine has is pinned: {error}")
        return image
    return pinned(image, manifest.digest)


def _say(line: str) -> None:
    click.echo(clean(line), err=True)
