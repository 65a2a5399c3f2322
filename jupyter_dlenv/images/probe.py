"""What is in an image: found out by one short look into it, and remembered by the image's id."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..engines.base import ContainerPlan, Engine, ImageFacts, RunResult
from ..errors import EngineTimeoutError, ImageUnsupportedError
from ..labels import ROLE
from .distributions import family_of
from .exclusive import exclusive, write_atomically

_log = logging.getLogger(__name__)

PROBE_SECONDS = 60.0
_FORMAT = 2
_MARKER = re.compile(r"^::dlenv::([a-z]+)=(.*)$", re.MULTILINE)
_PATH = re.compile(r"/[^\0-\x1f\x7f]{0,1000}\Z")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+[0-9A-Za-z.+!-]{0,30}\Z")
_LIBC = re.compile(r"(?:glibc|musl|libc) ?[0-9.]{0,12}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageProbe:
    """What was found in an image; what was not found is empty.

    Attributes:
        python: Path of the interpreter that kernels run with.
        ipykernel, pip: Their versions in that interpreter.
        externally_managed: Its packages belong to the distribution (PEP 668).
        libc: ``glibc 2.36``; decides which wheels fit.
        sshd, bash: Their paths.
        os_family: One of ``DISTRIBUTIONS``, or else what the system calls itself.
        entrypoint_runs_commands: The image's entrypoint ends in running the command that
            it is given, as NVIDIA's does.  If not, it has to be bypassed.
    """

    image_id: str
    python: str = ""
    python_version: str = ""
    ipykernel: str = ""
    pip: str = ""
    externally_managed: bool = False
    libc: str = ""
    sshd: str = ""
    bash: str = ""
    user: str = ""
    home: str = ""
    workdir: str = ""
    os_family: str = ""
    architecture: str = ""
    entrypoint_runs_commands: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> ImageProbe:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: It is of another version of us, or damaged.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise ValueError("not a probe of this format")
        values: dict[str, Any] = {field.name: data.get(field.name) for field in fields(cls)}
        for field in fields(cls):
            if type(values[field.name]).__name__ != field.type:
                raise ValueError(f"{field.name} is damaged")
        return cls(**values)


async def probe_image(
    engine: Engine,
    image: ImageFacts,
    *,
    labels: Mapping[str, str],
    cache_dir: Path,
    try_entrypoint: bool = True,
) -> ImageProbe:
    """Look into an image, once per image id.

    Takes about a second, and no time from then on.

    Args:
        labels: Of the short-lived container.
        try_entrypoint: False if the image's entrypoint is known to run no commands.

    Raises:
        ImageUnsupportedError: Nothing can be run in the image.
    """
    cache = cache_dir / f"{image.id.removeprefix('sha256:')}.json"
    known = await asyncio.to_thread(_read, cache, image.id)
    if known is not None:
        return known
    async with exclusive(cache.with_suffix(".lock")):
        known = await asyncio.to_thread(_read, cache, image.id)
        if known is None:
            known = await _look(engine, image, labels, try_entrypoint)
            text = json.dumps(known.to_json(), indent=1)
            await asyncio.to_thread(write_atomically, cache, text)
    return known


def probe_command() -> tuple[str, ...]:
    """Return the command whose output ``read_probe`` reads."""
    script = resources.files(__package__).joinpath("probe.sh").read_text(encoding="utf-8")
    return ("/bin/sh", "-c", script)


def read_probe(output: str, *, image_id: str) -> ImageProbe | None:
    """Read the output of ``probe_command``, or return ``None`` if it did not run to its end.

    Entrypoints print banners, so only marked lines count.  What they say comes from the
    image: a value that does not look like one counts as not found.
    """
    lines = [(match[1], match[2].strip()) for match in _MARKER.finditer(output)]
    values = dict(reversed(lines))
    if "end" not in values:
        return None
    found = list(_pythons(text for key, text in lines if key == "python"))
    with_kernel = [python for python in found if python.ipykernel]
    best = next(iter(with_kernel + found), ImageProbe(image_id=image_id))
    family = family_of(values.get("os", "").split())
    return replace(
        best,
        image_id=image_id,
        os_family=_checked(_WORD, family),
        architecture=_checked(_WORD, values.get("arch")),
        user=_checked(_WORD, values.get("user")),
        home=_checked(_PATH, values.get("home")),
        workdir=_checked(_PATH, values.get("workdir")),
        bash=_checked(_PATH, values.get("bash")),
        sshd=_checked(_PATH, values.get("sshd")),
    )


def _read(cache: Path, image_id: str) -> ImageProbe | None:
    try:
        probe = ImageProbe.from_json(json.loads(cache.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.info("Looking into %s again: %s", image_id, error)
        return None
    return probe if probe.image_id == image_id else None


async def _look(
    engine: Engine, image: ImageFacts, labels: Mapping[str, str], try_entrypoint: bool
) -> ImageProbe:
    plan = ContainerPlan(
        name=f"dlenv.probe.{secrets.token_hex(5)}",
        image=image.id,
        command=probe_command(),
        labels={**labels, ROLE: "probe"},
        network=False,
    )
    said = ""
    entrypoints: tuple[tuple[str, ...] | None, ...] = (None, ()) if image.entrypoint else (None,)
    for entrypoint in entrypoints if try_entrypoint else ((),):
        try:
            result = await engine.run(replace(plan, entrypoint=entrypoint), timeout=PROBE_SECONDS)
        except EngineTimeoutError as error:
            said = str(error)
            continue
        probe = read_probe(result.stdout.decode(errors="replace"), image_id=image.id)
        if probe is not None:
            return replace(probe, entrypoint_runs_commands=entrypoint is None)
        said = _last_words(result)
    name = image.tags[0] if image.tags else image.id
    raise ImageUnsupportedError(
        f"No command can be run in {name}: it seems to have no shell.", detail=said
    )


def _pythons(texts: Iterator[str]) -> Iterator[ImageProbe]:
    for text in texts:
        try:
            data = json.loads(text)
        except ValueError:
            continue
        if not isinstance(data, Mapping):
            continue
        python = ImageProbe(
            image_id="",
            python=_checked(_PATH, data.get("path")),
            python_version=_checked(_VERSION, data.get("version")),
            ipykernel=_checked(_VERSION, data.get("ipykernel")),
            pip=_checked(_VERSION, data.get("pip")),
            externally_managed=data.get("managed") is True,
            libc=_checked(_LIBC, data.get("libc")),
        )
        if python.python and python.python_version:
            yield python


def _checked(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.match(value) else ""


def _last_words(result: RunResult) -> str:
    output = (result.stdout + result.stderr).decode(errors="replace").strip()
    return f"exit code {result.exit_code}\n{output[-2000:]}".strip()
