"""What the launch form is told of a project: its ``dlenv.toml``, ready to be launched."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..configuration import Configuration
from ..errors import InvalidSpecError, InvalidSpecFileError
from ..images.catalogue import Catalogue
from ..lockfile import FILE_NAME as LOCK_NAME
from ..lockfile import read_lock
from ..models import EnvironmentSpec
from ..naming import name_for
from ..specfile import SpecFile, find, read
from .base import DlenvHandler, needs


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


def _below(root: Path, path: str) -> Path:
    """Return a directory that the server shows its user, and no other."""
    directory = (root / path.lstrip("/")).resolve()
    if not directory.is_relative_to(root.resolve()):
        raise InvalidSpecError("path is a directory below the server's own.")
    return directory


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
