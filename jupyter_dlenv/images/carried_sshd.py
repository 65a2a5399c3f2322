"""This machine's own SSH server as files that run in any image of the same architecture.

Each program brings its libraries and its loader, so that the C library of the image, or its
having none, does not matter.
"""

from __future__ import annotations

import asyncio
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..engines.base import FileToPut
from ..errors import BuildFailedError
from .recipe import CARRIED

_LDD_SECONDS = 10.0
_PLACES = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/bin:/usr/local/bin"
_LIBEXEC = ("/usr/lib/openssh", "/usr/libexec/openssh", "/usr/libexec", "/usr/lib/ssh")
#: Those of sshd that it runs for each connection since 9.8 and 10.0, and what comes along
#: because it is of no use without a server.
_PARTS_OF_SSHD = ("sshd-session", "sshd-auth")
_COMPANIONS = ("rsync",)
_LIBRARY = re.compile(r"\s*\S+ => (/\S+)")
_LOADER = re.compile(r"\s*(/\S*/ld-\S+|/\S*/ld\S*\.so\S*)")
#: How the architecture of an image is called elsewhere.
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}


async def carried_sshd(architecture: str, *, place: str = _PLACES) -> tuple[FileToPut, ...]:
    """Return the files, by their paths below ``/opt/dlenv/sshd``.

    Args:
        architecture: Of the image, as ``uname -m`` has it.
        place: Where to look for programs, as in ``PATH``.

    Raises:
        BuildFailedError: This machine has no server, or one for other processors.
    """
    here = platform.machine()
    if _ALIASES.get(architecture, architecture) != _ALIASES.get(here, here):
        raise BuildFailedError(
            f"This machine's SSH server is for {here}, and the image for {architecture}."
        )
    programs = await asyncio.to_thread(lambda: dict(_programs(place)))
    if "sshd" not in programs:
        raise BuildFailedError(
            "This machine has no SSH server that could be carried into the image.",
            hint="Install openssh-server where Jupyter runs, or in the image.",
        )
    libraries: dict[str, Path] = {}
    loader = ""
    for path in programs.values():
        found, loader = await _libraries(path)
        libraries.update(found)
    return await asyncio.to_thread(lambda: tuple(_files(programs, libraries, loader)))


def _programs(place: str) -> Iterator[tuple[str, Path]]:
    for name in ("sshd", *_COMPANIONS):
        if found := shutil.which(name, path=place):
            yield name, Path(found)
    for name in _PARTS_OF_SSHD:
        if found := shutil.which(name, path=":".join(_LIBEXEC)):
            yield name, Path(found)


async def _libraries(program: Path) -> tuple[dict[str, Path], str]:
    """Return the libraries of a program by name, and the name of its loader."""
    process = await asyncio.create_subprocess_exec(
        "ldd",
        str(program),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _LDD_SECONDS)
    except asyncio.TimeoutError as error:
        process.kill()
        raise BuildFailedError(f"The libraries of {program} cannot be listed.") from error
    libraries = {}
    loader = ""
    for line in output.decode(errors="replace").splitlines():
        if match := _LIBRARY.match(line):
            libraries[Path(match[1]).name] = Path(match[1])
        elif match := _LOADER.match(line):
            loader = Path(match[1]).name
            libraries[loader] = Path(match[1])
    if not loader:
        raise BuildFailedError(f"{program} cannot be carried: it names no loader.")
    return libraries, loader


def _files(
    programs: dict[str, Path], libraries: dict[str, Path], loader: str
) -> Iterator[FileToPut]:
    try:
        for name, path in libraries.items():
            yield FileToPut(path=f"lib/{name}", content=path.read_bytes(), mode=0o755)
        for name, path in programs.items():
            yield FileToPut(path=f"bin/{name}", content=path.read_bytes(), mode=0o755)
            script = (
                f"#!/bin/sh\nexec {CARRIED}/lib/{loader} --library-path {CARRIED}/lib "
                f'--argv0 {CARRIED}/bin/{name} {CARRIED}/bin/{name} "$@"\n'
            )
            yield FileToPut(path=name, content=script.encode(), mode=0o755)
    except OSError as error:
        raise BuildFailedError(
            "This machine's SSH server cannot be read.", detail=str(error)
        ) from error
