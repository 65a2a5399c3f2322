"""A project in the launch form: its ``dlenv.toml``, ready to be launched, and its lock."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..configuration import Configuration
from ..environments import Environments
from ..errors import DlenvError, InvalidSpecError, InvalidSpecFileError
from ..images.catalogue import Catalogue
from ..lockfile import FILE_NAME as LOCK_NAME
from ..lockfile import pin, read_lock
from ..models import EnvironmentSpec
from ..naming import name_for
from ..specfile import FILE_NAME, SpecFile, find, read
from .base import DlenvHandler, needs

_log = logging.getLogger(__name__)


class ProjectHandler(DlenvHandler):
    """The project that a directory of the server is in."""

    @needs("read")
    async def get(self) -> None:
        directory = _below(Path(self.dlenv.root_dir), self.get_query_argument("path", ""))
        catalogue = self.dlenv.environments().library.catalogue
        project = await asyncio.to_thread(
            _look, directory, self.dlenv.configuration, catalogue, self.dlenv.engines.in_use
        )
        self.send_json({"project": project})


class LaunchedProject:
    """A project that is being launched: its image is pinned, as on the command line."""

    def __init__(self, path: str, file: SpecFile, image: str) -> None:
        self.path = path
        self._file = file
        self._image = image

    @classmethod
    def opened(
        cls, root: Path, path: Any, spec: EnvironmentSpec, configuration: Configuration
    ) -> LaunchedProject | None:
        """Return the project that a launch is of, unless there is nothing to pin.

        Args:
            root: Of the server's files; nothing outside of it is read or written.
            path: Of the ``dlenv.toml``, as the form was told it.
            spec: With the image that was asked for, which need not be the project's any more.

        Raises:
            InvalidSpecError: It is no path of a ``dlenv.toml``.
            InvalidSpecFileError: It cannot be read, or belongs to somebody else.
        """
        if not isinstance(path, str) or "\0" in path or Path(path).name != FILE_NAME:
            raise InvalidSpecError(f"project is the path of a {FILE_NAME}.")
        directory = (root / path).parent.resolve()
        if not _is_shown(directory, root):
            # The form tells of one above the root, too.
            return None
        found = find(directory)
        if found is None or found.parent != directory:
            raise InvalidSpecError(f"There is no {directory / FILE_NAME}.")
        file = read(found, engines=("docker", *configuration.engines))
        said = file.spec(name=spec.name).image
        # A spec that is pinned comes from a lock.
        return None if file.build or spec.image != said else cls(path, file, said)

    async def pin(self, environments: Environments, launched: str) -> None:
        """Write the lock, unless there is one; a launch does not fail of that."""
        path = self._file.directory / LOCK_NAME
        try:
            lock = await pin(environments.engine, path, image=self._image, launched=launched)
        except (DlenvError, OSError) as error:
            _log.warning("%s was not written: %s", path, error)
        else:
            if lock is not None:
                _log.info("%s pins %s", path, lock.image)


def _below(root: Path, path: str) -> Path:
    """Return a directory that the server shows its user, and no other."""
    directory = (root / path.lstrip("/")).resolve()
    if not _is_shown(directory, root):
        raise InvalidSpecError("path is a directory below the server's own.")
    return directory


def _is_shown(directory: Path, root: Path) -> bool:
    return directory.is_relative_to(root.resolve())


def _look(
    directory: Path, configuration: Configuration, catalogue: Catalogue, engine: str
) -> dict[str, Any] | None:
    path = find(directory)
    if path is None:
        return None
    file = read(path, engines=("docker", *configuration.engines))
    if file.engine not in ("", engine):
        raise InvalidSpecFileError(
            f"{path} wants the engine {file.engine}, and this server uses {engine}.",
            hint="Use that engine here: it is in the advanced part of the launch form.",
        )
    described = file.spec(otherwise=name_for(file.directory.name, ()))
    spec = _pinned(described, file, catalogue)
    # As on the command line: the project is seen inside, and kernels start in it.
    spec = configuration.with_default_mount(spec, str(file.directory))
    written = spec.to_json()
    said = {*file.fields, "name", "image", "mounts", "workdir"}
    return {
        "path": str(path),
        "build_dir": file.build,
        "pinned": spec.image != described.image,
        "beyond": list(file.beyond(spec)),
        # Only what the project says: the rest is as it is for every launch.
        "spec": {key: value for key, value in written.items() if key in said},
    }


def _pinned(spec: EnvironmentSpec, file: SpecFile, catalogue: Catalogue) -> EnvironmentSpec:
    """Return the spec with the very image that ``dlenv.lock`` pins, if there is one."""
    path = file.directory / LOCK_NAME
    lock = None if file.build else read_lock(path)
    if lock is None:
        return spec
    entry = catalogue.find(spec.image.partition(":")[0])
    repository = catalogue.repository(entry) if entry else ""
    return replace(spec, image=lock.pinned(spec.image, path=path, repository=repository))
