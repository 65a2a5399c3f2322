"""What pip has installed for the user, in the container for as long as an image is made of it.

It lies in the home directory, a volume that is in no image.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources

from .engines.completion import undisturbed
from .environments import Environments
from .models import Environment, Status

_log = logging.getLogger(__name__)
_BASE = "/opt/dlenv/carried"
#: Gigabytes are copied on a slow disk.
_COPY_SECONDS = 900.0
_MOST_BYTES = 64 * 1024
_PACKAGE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._]{0,100}$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What was copied.

    Attributes:
        packages: Their names.
        problem: Why nothing was copied although there may be packages.
    """

    packages: tuple[str, ...] = ()
    problem: str = ""


@asynccontextmanager
async def packages_carried(
    environments: Environments, environment: Environment
) -> AsyncIterator[Carried]:
    """Hold a copy of the user's packages outside of the home directory."""
    if environment.status is not Status.RUNNING:
        yield Carried(problem="the environment is stopped: start it first")
        return
    script = resources.files("jupyter_dlenv.agent").joinpath("carry.py").read_text("utf-8")
    command = (environment.python or "python3", "-c", script)
    where = f"{_BASE}/{time.time_ns()}"
    try:
        carried = await _copied(environments, environment.name, *command, "add", where)
        yield carried
    finally:
        # Where there was nothing to copy, too: a copy may go on that nobody waits for any more.
        await undisturbed(_run, environments, environment.name, *command, "remove", where)


async def _copied(environments: Environments, name: str, *argv: str) -> Carried:
    try:
        running = _run(environments, name, *argv)
        exit_code, said, problem = await asyncio.wait_for(running, _COPY_SECONDS)
    except asyncio.TimeoutError:
        return Carried(problem="copying them took too long")
    if exit_code:
        _log.warning("The packages of %s cannot be copied: %s", name, problem)
        return Carried(problem=problem.strip().rpartition("\n")[2] or f"exit code {exit_code}")
    return Carried(packages=tuple(_PACKAGE.findall(said)))


async def _run(environments: Environments, name: str, *argv: str) -> tuple[int, str, str]:
    """Run a command as root; return its exit code and the end of what it said, twice."""
    stream = await environments.open_stream(name, argv, as_root=True)
    said = {1: b"", 2: b""}
    try:
        while (frame := await stream.read())[0]:
            channel, data = frame
            said[channel] = (said[channel] + data)[-_MOST_BYTES:]
        exit_code = await stream.wait()
    finally:
        await stream.aclose()
    return exit_code, said[1].decode(errors="replace"), said[2].decode(errors="replace")
