"""The same environment for other tools: a dev container, Compose, ``docker run``, a Dockerfile.

Pure functions from values to text.  Each target has its own way to quote and to replace
variables, and each text is read by a tool that obeys it, so nothing is pasted in as it is.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ..errors import InvalidSpecError
from ..models import Mount
from .portable import Portable

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: What YAML 1.1, which is written here, and 1.2, which Compose reads, take for the same.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One file.

    Attributes:
        file: Where it belongs, relative to the project.
        notes: What is not the same, for people.
    """

    target: str
    file: str
    content: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "to": self.target,
            "file": self.file,
            "content": self.content,
            "notes": list(self.notes),
        }


def export(environment: Portable, target: str, *, project: str = "") -> Export:
    """Return an environment as a file for another tool.

    Args:
        target: One of ``TARGETS``.
        project: Directory that the file is for; mounts from within are written relative to
            it, where the tool can read that.

    Raises:
        InvalidSpecError: There is no such target.
    """
    if target not in _RENDERERS:
        raise InvalidSpecError(
            f"Nothing can be exported to {target[:40]!r}.", hint=f"There is {', '.join(TARGETS)}."
        )
    file, render = _RENDERERS[target]
    content, notes = render(environment, project.rstrip("/"))
    return Export(target=target, file=file, content=content, notes=(*environment.notes, *notes))


def docker_run(environment: Portable, *, image: str = "") -> str:
    """Return the command for a shell, one option on each line.

    Args:
        image: Instead of the environment's.
    """
    options = ["--interactive --tty --rm --init", *map(_shell, _run_options(environment))]
    lines = ["docker run", *options, shlex.quote(image or environment.image)]
    return " \\\n  ".join(lines) + "\n"


def _run_options(e: Portable) -> Iterator[tuple[str, str]]:
    """Yield what ``docker run`` is told, as an option and its value."""
    yield "--name", e.name
    yield "--hostname", e.hostname
    yield from _resource_options(e)
    if e.user:
        yield "--user", e.user
    if e.workdir:
        yield "--workdir", e.workdir
    for mount in e.mounts:
        yield "--mount", _mount(mount, mount.source)
    for key, value in e.env.items():
        yield "--env", f"{key}={value}"
    for key in e.secret:
        yield "--env", key


def _resource_options(e: Portable) -> Iterator[tuple[str, str]]:
    if gpus := _gpus(e):
        yield "--gpus", gpus
    yield "--shm-size", str(e.shm_size)
    for ulimit in e.ulimits:
        yield "--ulimit", str(ulimit)
    for port in e.ports:
        host = port.host_port or ""
        yield "--publish", f"{port.host_ip}:{host}:{port.container_port}"
    for key, value in e.labels.items():
        yield "--label", f"{key}={value}"


def _gpus(e: Portable) -> str:
    """Return the value of ``--gpus``: those that are known by name, or else their number."""
    if e.gpu_devices:
        # Docker reads it as a line of CSV.
        return _csv(f"device={','.join(e.gpu_devices)}")
    return "all" if e.gpus < 0 else str(e.gpus or "")


def _dockerfile(e: Portable, _project: str) -> tuple[str, list[str]]:
    left_out = [f"variable {key}" for key in e.secret]
    lines = [f"FROM {e.image}"]
    for word, values in (("ENV", e.env), ("LABEL", e.labels)):
        for key, value in values.items():
            if _CONTROL.search(value):
                left_out.append(f"{word.lower()} {key}")
            else:
                lines.append(f'{word} {key}="{_escaped(value)}"')
    lines += [f"EXPOSE {port.container_port}" for port in e.ports]
    if _CONTROL.search(e.workdir) or e.workdir.endswith("\\"):
        left_out.append("workdir")
    elif e.workdir:
        lines.append(f"WORKDIR {_escaped(e.workdir)}")
    if e.user:
        lines.append(f"USER {e.user}")
    run = docker_run(e, image=e.name)
    # What has a line break of its own would end the comment.
    shown = run if not any(_CONTROL.search(value) for _, value in _run_options(e)) else ""
    head = [
        f"# The environment {e.name!r}; mounts, ports and GPUs are given when it runs:",
        f"#   docker build --tag {e.name} .",
        *(f"#   {line}" for line in shown.splitlines()),
    ]
    notes = [f"Cannot be in a Dockerfile: {', '.join(left_out)}."] if left_out else []
    return "\n".join((*head, *lines)) + "\n", notes


def _compose(e: Portable, project: str) -> tuple[str, list[str]]:
    service: dict[str, Any] = {
        "image": _literal(e.image),
        "hostname": e.hostname,
        "init": True,
        # A shell as the image's command lives as long as it has a terminal.
        "stdin_open": True,
        "tty": True,
        "shm_size": e.shm_size,
    }
    if e.user:
        service["user"] = e.user
    if e.workdir:
        service["working_dir"] = _literal(e.workdir)
    # Without a value it is taken from where Compose runs.
    service["environment"] = {
        **{key: _literal(value) for key, value in e.env.items()},
        **dict.fromkeys(e.secret),
    }
    if e.mounts:
        service["volumes"] = [
            {
                "type": "bind",
                "source": _literal(_relative(mount.source, project, ".")),
                "target": _literal(mount.target),
                **({"read_only": True} if mount.read_only else {}),
                "bind": {"create_host_path": False},
            }
            for mount in e.mounts
        ]
    if e.ports:
        service["ports"] = [
            {
                "target": port.container_port,
                **({"published": str(port.host_port)} if port.host_port else {}),
                "host_ip": port.host_ip,
            }
            for port in e.ports
        ]
    if e.ulimits:
        service["ulimits"] = {u.name: {"soft": u.soft, "hard": u.hard} for u in e.ulimits}
    if e.labels:
        service["labels"] = {key: _literal(value) for key, value in e.labels.items()}
    if _gpus(e):
        many = "all" if e.gpus < 0 else e.gpus
        which = {"device_ids": list(e.gpu_devices)} if e.gpu_devices else {"count": many}
        device = {"driver": "nvidia", **which, "capabilities": ["gpu"]}
        service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    data = {"name": e.name, "services": {e.name: service}}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000), []


def _devcontainer(e: Portable, project: str) -> tuple[str, list[str]]:
    left_out = [key for key, value in (*e.env.items(), *e.labels.items()) if "${" in value]
    labels = {key: value for key, value in e.labels.items() if key not in left_out}
    folder = e.workdir or e.image_workdir or "/"
    workspace = next((m for m in e.mounts if _is_below(folder, m.target)), None)
    options = [word for option in _resource_options(replace(e, labels=labels)) for word in option]
    data: dict[str, Any] = {
        "name": e.name,
        "image": e.image,
        "init": True,
        "runArgs": ["--hostname", e.hostname, *options],
        # Without any, the directory of this file would be mounted as well.
        "workspaceMount": _here(workspace, project) if workspace else "",
        "workspaceFolder": folder,
        "mounts": [_here(m, project) for m in e.mounts if m is not workspace],
        "containerEnv": {
            **{key: value for key, value in e.env.items() if key not in left_out},
            **{key: f"${{localEnv:{key}}}" for key in e.secret},
        },
        "customizations": {"vscode": {"extensions": ["ms-python.python", "ms-toolsai.jupyter"]}},
    }
    if e.user:
        # The user is the one that was chosen: no other image is built for another number.
        data |= {"containerUser": e.user, "updateRemoteUserUID": False}
    notes = (
        [f"Left out, since `${{…}}` is replaced there: {', '.join(left_out)}."] if left_out else []
    )
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n", notes


def _docker_run(e: Portable, _project: str) -> tuple[str, list[str]]:
    return docker_run(e), []


_RENDERERS: Mapping[str, tuple[str, Callable[[Portable, str], tuple[str, list[str]]]]] = {
    "devcontainer": (".devcontainer/devcontainer.json", _devcontainer),
    "compose": ("compose.yaml", _compose),
    "docker-run": ("docker-run.sh", _docker_run),
    "dockerfile": ("Dockerfile", _dockerfile),
}
TARGETS = tuple(_RENDERERS)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every string that a reader of another YAML could take for a number."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.match(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def _literal(text: str) -> str:
    """Return text in which Compose replaces nothing."""
    return text.replace("$", "$$")


def _escaped(text: str) -> str:
    """Return text as it stands between double quotes in a Dockerfile."""
    return re.sub(r'(["\\$])', r"\\\1", text)


def _shell(option: tuple[str, str]) -> str:
    return f"{option[0]} {shlex.quote(option[1])}"


def _here(mount: Mount, project: str) -> str:
    return _mount(mount, _relative(mount.source, project, "${localWorkspaceFolder}"))


def _mount(mount: Mount, source: str) -> str:
    fields = ["type=bind", f"source={source}", f"target={mount.target}"]
    return _csv(*fields, *(["readonly"] if mount.read_only else []))


def _csv(*fields: str) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _relative(source: str, project: str, here: str) -> str:
    if project and _is_below(source, project):
        return f"{here}{source[len(project) :]}"
    return source


def _is_below(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent.rstrip("/") + "/")
