"""The project's own description of its environment, ``dlenv.toml``: found, read and written.

The file comes with a project, so it may be anybody's.  What it says is checked like a
request of a stranger, and it can neither name an engine by its address nor one that runs
plain processes: engines are given the user's logins, and processes have the user's rights.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tomli_w

from .errors import InvalidSpecError, InvalidSpecFileError
from .models import EnvironmentSpec, Mount
from .secrecy import looks_secret
from .toml_file import load
from .untrusted import strings, typed

FILE_NAME = "dlenv.toml"
#: What is not said of an environment, but of how it is launched.
_OWN_KEYS = ("build",)
#: What one field is checked with while the others are unknown.
_PLACEHOLDER = {"name": "a", "image": "a"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """A ``dlenv.toml`` that was read.

    Attributes:
        path: Absolute.
        fields: Those that the file sets, as ``EnvironmentSpec.from_json`` takes them; the
            sources of mounts are absolute.
        build: Directory with a Dockerfile, absolute; empty if nothing is built.
        engine: Name of an engine, which the fields do not repeat.
    """

    path: Path
    fields: Mapping[str, Any] = field(default_factory=dict)
    build: str = ""
    engine: str = ""

    @property
    def directory(self) -> Path:
        """Return the project's directory, where the file lies."""
        return self.path.parent

    def spec(self, *, name: str = "", otherwise: str = "") -> EnvironmentSpec:
        """Return what the file describes.

        Args:
            name: Instead of the file's.
            otherwise: The name if there is no other.

        Raises:
            InvalidSpecFileError: It names neither an image nor what to build.
        """
        complete = {**self.fields, "name": name or self.fields.get("name") or otherwise}
        if self.build:
            complete.setdefault("image", f"dlenv/build:{complete['name']}")
        if not complete.get("image"):
            raise InvalidSpecFileError(
                f"{self.path} names no image.",
                hint='Write `image = "…"`, or `build = "."` for a Dockerfile.',
            )
        try:
            return EnvironmentSpec.from_json(complete)
        except InvalidSpecError as error:
            raise InvalidSpecFileError(f"{self.path}: {error}", hint=error.hint) from error

    def beyond(self, spec: EnvironmentSpec) -> tuple[str, ...]:
        """Return what an environment is given that lies outside of the project, for people.

        Whoever has just cloned a project does not expect it to read their keys.
        """
        project = os.path.realpath(self.directory)
        wide = [
            f"mounts {mount}"
            for mount in spec.mounts
            if os.path.commonpath([project, os.path.realpath(mount.source)]) != project
        ]
        open_ports = [
            f"publishes {port}" for port in spec.ports if not port.host_ip.startswith("127.")
        ]
        return (*wide, *open_ports)


def find(start: Path) -> Path | None:
    """Return the ``dlenv.toml`` of a directory or of the nearest one above it.

    Raises:
        InvalidSpecFileError: It belongs to somebody else, who could have put it into any
            directory that everybody may write to.
    """
    for directory in (start, *start.parents):
        path = directory / FILE_NAME
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        if owner not in (os.getuid(), 0):
            raise InvalidSpecFileError(
                f"{path} belongs to another user.",
                hint=f"If you trust it, name it: --file {path}",
            )
        return path
    return None


def read(path: Path, *, engines: Collection[str] = ("docker",)) -> SpecFile:
    """Read a ``dlenv.toml``.

    Args:
        engines: Names of the engines that it may choose.

    Raises:
        InvalidSpecFileError: With file and line of what is wrong.
    """
    path = path.absolute()
    try:
        data, text = load(path)
    except FileNotFoundError as error:
        raise InvalidSpecFileError(f"There is no {path}.") from error
    lines = text.splitlines()
    for key in data:
        with _blaming(path, lines, key):
            _check(key, data, engines)
    fields = {key: value for key, value in data.items() if key not in (*_OWN_KEYS, "engine")}
    with _blaming(path, lines, "mounts"):
        if "mounts" in fields:
            fields["mounts"] = [str(_from_here(m, path.parent)) for m in strings(data, "mounts")]
    build = typed(data, "build", str, "")
    return SpecFile(
        path=path,
        fields=fields,
        build=str(_absolute(build, path.parent)) if build else "",
        engine=typed(data, "engine", str, ""),
    )


def merged(spec: EnvironmentSpec, given: Mapping[str, Any]) -> EnvironmentSpec:
    """Return a spec with fields replaced; what lists name once more is replaced by its name.

    A mount is known by its target, a port by the one inside, a ulimit by its name.
    """
    changes: dict[str, Any] = dict(given)
    for key, name in _LISTS.items():
        if key in changes:
            wanted = {name(item): item for item in changes[key]}
            kept = [item for item in getattr(spec, key) if name(item) not in wanted]
            changes[key] = (*kept, *changes[key])
    if "env" in changes:
        changes["env"] = {**spec.env, **changes["env"]}
    return replace(spec, **changes)


_LISTS: Mapping[str, Callable[[Any], Any]] = {
    "mounts": lambda mount: mount.target,
    "ports": lambda port: port.container_port,
    "ulimits": lambda ulimit: ulimit.name,
}


def render(spec: EnvironmentSpec, *, directory: Path, build: str = "") -> str:
    """Return the text of a commented ``dlenv.toml`` that describes a spec.

    What lies in the directory, which is the project's, is written relative to it; what is
    as it is anyway is shown in comments.
    """
    project = str(directory)
    plain = EnvironmentSpec(name=spec.name, image=spec.image)
    usual = Mount(source=project, target=project)
    mounts = [_seen_from(m, project) for m in spec.mounts if m != usual]
    workdir = "" if spec.workdir == project else spec.workdir
    source = {"build": build} if build else {"image": spec.image}
    env = {key: value for key, value in spec.env.items() if not looks_secret(key)}
    secret = [f"# Not written down: {key}" for key in spec.env if key not in env]
    lines = [
        "# The environment of this project, for `jupyter dlenv launch` here or further down.",
        "# This directory is mounted at the same path, and kernels start in it.",
        _entry("name", spec.name),
        *(_entry(key, value) for key, value in source.items()),
        "",
        '# How many GPUs, or which: 2, "all", "device=0,3"; 0 hides all of them.',
        _entry("gpus", spec.to_json()["gpus"]),
        "# Take GPUs that others use, if too few are idle.",
        _optional("shared", spec.shared, True),
        "",
        "# Further directories, SRC:DST or SRC:DST:ro; a relative one begins here.",
        _optional("mounts", mounts, ["data:/data:ro"]),
        "# Ports to reach from this machine, HOST:CONTAINER; host port 0 is any free one.",
        _optional("ports", [_short(str(p)) for p in spec.ports], ["6006:6006"]),
        "",
        "# Whom new files belong to: caller, root, image (its USER), or UID:GID.",
        _optional("user", "" if spec.user == plain.user else spec.user, plain.user),
        "# Where kernels start, and the size of /dev/shm.",
        _optional("workdir", workdir, "/workspace"),
        _optional(
            "shm_size", _size(spec.shm_size) if spec.shm_size != plain.shm_size else "", "8g"
        ),
        _optional("ulimits", [str(u) for u in spec.ulimits], ["memlock=-1"]),
        "",
        "# Stop after so many minutes without use, so that others can have the GPUs; 0 is never.",
        _entry("idle_stop", spec.idle_stop)
        if spec.idle_stop is not None
        else _optional("idle_stop", "", 60),
        "",
        "# Variables of every process. No secrets: pass those on with `launch --env NAME`.",
        *secret,
        _table("env", env, {"WANDB_MODE": "offline"}),
        "# Your own labels on the container.",
        _table("labels", spec.labels, {"team": "vision"}),
    ]
    return "\n".join(lines).rstrip() + "\n"


@contextmanager
def _blaming(path: Path, lines: list[str], key: str) -> Iterator[None]:
    """Say in which line of which file the value is that the block finds wrong."""
    try:
        yield
    except InvalidSpecError as error:
        where = f"{path}{_line_of(lines, key)}"
        raise InvalidSpecFileError(f"{where}: {error}", hint=error.hint) from error


def _line_of(lines: list[str], key: str) -> str:
    """Return ``:NUMBER`` of where a key is set; the TOML library does not tell."""
    name = re.escape(key)
    setting = re.compile(rf"""\s*\[?\s*(?:{name}|"{name}"|'{name}')\s*[=.\]]""")
    numbers = (number for number, line in enumerate(lines, 1) if setting.match(line))
    return next((f":{number}" for number in numbers), "")


def _check(key: str, data: Mapping[str, Any], engines: Collection[str]) -> None:
    known = (*EnvironmentSpec.__dataclass_fields__, *_OWN_KEYS)
    if key not in known:
        close = get_close_matches(key, known, n=1)
        raise InvalidSpecError(
            f"There is no key {key!r}.",
            hint=f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(known)}.",
        )
    if key == "build":
        if not typed(data, key, str, ""):
            raise InvalidSpecError("build is a directory with a Dockerfile.")
    elif key == "engine":
        name = typed(data, key, str, "")
        if name not in engines:
            raise InvalidSpecError(
                f"The engine {name!r} cannot be chosen here.",
                hint=f"There is {', '.join(engines)}; for others, use `launch --engine`.",
            )
    elif key == "mounts":
        for text in strings(data, key):
            _from_here(text, Path("/"))
    else:
        # A spec checks itself, so one that has nothing else checks this field.
        EnvironmentSpec.from_json({**_PLACEHOLDER, key: data[key]})


def _from_here(text: str, directory: Path) -> Mount:
    source, colon, rest = text.partition(":")
    if not source:
        raise InvalidSpecError(
            f"{text!r} is not a mount.", hint="Write it as SRC:DST or SRC:DST:ro."
        )
    return Mount.parse(f"{_absolute(source, directory)}{colon}{rest}")


def _absolute(path: str, directory: Path) -> str:
    return os.path.abspath(directory / Path(path).expanduser())  # noqa: PTH100 keep links


def _seen_from(mount: Mount, project: str) -> str:
    if mount.source == project or mount.source.startswith(f"{project}/"):
        source = f"./{os.path.relpath(mount.source, project)}".removesuffix("/.")
        return f"{source}{str(mount).removeprefix(mount.source)}"
    return str(mount)


def _size(number: int) -> str:
    for power, unit in ((3, "g"), (2, "m"), (1, "k")):
        if number % 1024**power == 0:
            return f"{number // 1024**power}{unit}"
    return str(number)


def _short(port: str) -> str:
    return port.removeprefix("127.0.0.1:")


def _entry(key: str, value: Any) -> str:
    text = tomli_w.dumps({key: value}).strip()
    # tomli_w gives each item a line of its own, which is much for two short ones.
    items = re.sub(r"\n\s+", " ", text) if isinstance(value, list) else text
    return re.sub(r"\[ (.*),\n\]\Z", r"[\1]", items) if len(items) < 100 else text


def _optional(key: str, value: Any, example: Any) -> str:
    return _entry(key, value) if value else f"# {_entry(key, example)}"


def _table(key: str, values: Mapping[str, str], example: Mapping[str, str]) -> str:
    if values:
        return tomli_w.dumps({key: dict(values)})
    text = tomli_w.dumps({key: dict(example)})
    return "".join(f"# {line}\n" for line in text.splitlines())
