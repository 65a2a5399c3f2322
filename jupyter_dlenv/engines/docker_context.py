"""What is sent to Docker as an archive: the directory of a build, or a few files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from docker.utils.build import exclude_paths

from ..errors import BuildFailedError
from .base import FileToPut

_PIECE = 1024 * 1024


def directory_archive(directory: str) -> Iterator[bytes]:
    """Yield a build directory as an archive, without what ``.dockerignore`` names; blocks.

    Raises:
        BuildFailedError: There is nothing to build, or a file cannot be read.
    """
    root = Path(directory)
    if not (root / "Dockerfile").is_file():
        raise BuildFailedError(
            f"There is no Dockerfile in {directory}.", hint="Name a directory that has one."
        )
    try:
        # Only describes the files.  Writing here would need room for all of them.
        with tarfile.open(mode="w", fileobj=io.BytesIO()) as describer:
            for name in sorted(exclude_paths(str(root), _ignored(root))):
                yield from _entry(describer, root / name, name)
    except OSError as error:
        raise BuildFailedError(
            f"{directory} cannot be read completely.",
            hint="Name what the build does not need in a .dockerignore file.",
            detail=str(error),
        ) from error
    yield bytes(2 * tarfile.BLOCKSIZE)


def files_archive(files: tuple[FileToPut, ...]) -> bytes:
    """Return files as an archive; they belong to root."""
    buffer = io.BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as tar:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode = len(file.content), file.mode
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _ignored(root: Path) -> list[str]:
    try:
        lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _entry(describer: tarfile.TarFile, path: Path, name: str) -> Iterator[bytes]:
    entry = describer.gettarinfo(path, arcname=name)
    # ``None`` is a socket, which has no place in an archive.
    if entry is None:
        return
    # Who builds makes no difference to the engine's cache.
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    yield entry.tobuf()
    if not entry.isfile():
        return
    with path.open("rb") as content:
        left = entry.size
        while left:
            # A file that shrinks meanwhile is filled up: the size is already sent.
            piece = content.read(min(left, _PIECE)) or bytes(min(left, _PIECE))
            left -= len(piece)
            yield piece
    yield bytes(-entry.size % tarfile.BLOCKSIZE)
