"""A Jupyter kernel's wheels, fetched on this machine for a Python that is somewhere else."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..engines.base import FileToPut
from ..errors import BuildFailedError
from .host_pip import run_pip
from .probe import ImageProbe

_SECONDS = 300.0
_MANYLINUX_2014 = 17
_MUSL_PLATFORMS = ("musllinux_1_2", "musllinux_1_1")
#: pip judges "only for old Pythons" by the Python that it runs on itself, so what a kernel
#: needs only there is asked for by name.
_FOR_OLD_PYTHONS = ("exceptiongroup", "importlib_metadata", "typing_extensions", "zipp")


async def fetch_wheels(probe: ImageProbe, packages: tuple[str, ...]) -> tuple[FileToPut, ...]:
    """Download packages, and what they need, for the Python of an image.

    Raises:
        BuildFailedError: It did not work here either.
    """
    python = ".".join(probe.python_version.split(".")[:2])
    with tempfile.TemporaryDirectory(prefix="dlenv-wheels-") as directory:
        await run_pip(
            "download",
            "--only-binary=:all:",
            "--progress-bar=off",
            f"--dest={directory}",
            "--implementation=cp",
            f"--python-version={python}",
            *(f"--platform={platform}" for platform in platforms(probe)),
            *packages,
            *_FOR_OLD_PYTHONS,
            limit=_SECONDS,
        )
        return await asyncio.to_thread(_read, Path(directory))


def platforms(probe: ImageProbe) -> tuple[str, ...]:
    """Return the platform tags of the wheels that an image can use, best first.

    Raises:
        BuildFailedError: Nobody builds wheels for it.
    """
    if glibc := re.match(r"glibc 2\.(\d+)", probe.libc):
        return tuple(f"{tag}_{probe.architecture}" for tag in _manylinux(int(glibc[1])))
    if re.match("(?:musl|libc)", probe.libc) or probe.os_family == "alpine":
        return tuple(f"{tag}_{probe.architecture}" for tag in _MUSL_PLATFORMS)
    raise BuildFailedError(
        f"This machine cannot tell which packages fit the image's system ({probe.os_family}).",
        hint="Give containers of the engine a network.",
    )


def _manylinux(glibc: int) -> Iterator[str]:
    for minor in range(glibc, _MANYLINUX_2014 - 1, -1):
        yield f"manylinux_2_{minor}"
    yield from ("manylinux2014", "manylinux2010", "manylinux1")


def _read(directory: Path) -> tuple[FileToPut, ...]:
    return tuple(
        FileToPut(path=path.name, content=path.read_bytes()) for path in sorted(directory.iterdir())
    )
