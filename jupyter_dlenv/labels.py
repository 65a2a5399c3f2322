"""Every label we write on a container, and the way from a spec to labels and back.

Labels are the only database: what is not in them is not known.  They come back from
the engine, where others can write too, so they are parsed as untrusted input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InvalidSpecError
from .gpu_request import is_gpu_uuid
from .models import EnvironmentSpec

PREFIX = "org.jupyter-dlenv"

#: ``environment`` for environments, ``probe`` for the short-lived look into an image;
#: of containers that never start, and only stand for something: ``gpu-lock``, ``gpu-hold``,
#: ``gpu-ticket``.
ROLE = f"{PREFIX}.role"
OWNER = f"{PREFIX}.owner"
NAME = f"{PREFIX}.name"
ID = f"{PREFIX}.id"
SPEC = f"{PREFIX}.spec"
#: The process that launches it; see ``launcher.py``.
LAUNCHER = f"{PREFIX}.launcher"
RUNTIME_DIR = f"{PREFIX}.runtime-dir"
#: There if sockets are not shared by a mount, but carried over a stream.
STREAMED = f"{PREFIX}.streamed"
HOME = f"{PREFIX}.home"
PYTHON = f"{PREFIX}.python"
#: The GPU lease: UUIDs of GPUs and MIG devices, with commas between them.
GPUS = f"{PREFIX}.gpus"
#: What somebody waits for in line, as JSON.
WAITS = f"{PREFIX}.waits"
#: The host port of the SSH server, kept for the environment's life.
SSH_PORT = f"{PREFIX}.ssh-port"
#: On derived images: the id of the image below and the recipe that was applied.
BASE = f"{PREFIX}.base"
RECIPE = f"{PREFIX}.recipe"
#: On saved images: the name of the environment, and the version of us.
SAVED_FROM = f"{PREFIX}.saved-from"
SAVED_BY = f"{PREFIX}.saved-by"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentLabels:
    """What the labels of an environment's container say."""

    id: str
    owner: str
    spec: EnvironmentSpec
    launcher: str
    runtime_dir: str
    home: str
    python: str
    gpus: tuple[str, ...] = ()
    ssh_port: int = 0
    streamed: bool = False

    def to_labels(self) -> dict[str, str]:
        return {
            **self.spec.labels,
            ROLE: "environment",
            OWNER: self.owner,
            NAME: self.spec.name,
            ID: self.id,
            SPEC: json.dumps(self.spec.to_json(), separators=(",", ":"), sort_keys=True),
            LAUNCHER: self.launcher,
            RUNTIME_DIR: self.runtime_dir,
            HOME: self.home,
            PYTHON: self.python,
            GPUS: ",".join(self.gpus),
            **({SSH_PORT: str(self.ssh_port)} if self.ssh_port else {}),
            **({STREAMED: "true"} if self.streamed else {}),
        }

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> EnvironmentLabels:
        """Read the labels of a container.

        Raises:
            InvalidSpecError: They were not written by us, or were changed.
        """
        try:
            spec = EnvironmentSpec.from_json(json.loads(labels[SPEC]))
            if spec.name != labels[NAME]:
                raise InvalidSpecError("The labels of the container contradict each other.")
            return cls(
                id=labels[ID],
                owner=labels[OWNER],
                spec=spec,
                launcher=labels[LAUNCHER],
                runtime_dir=labels[RUNTIME_DIR],
                home=labels[HOME],
                python=labels[PYTHON],
                gpus=gpus_of(labels),
                ssh_port=read_port(labels),
                streamed=STREAMED in labels,
            )
        except (KeyError, ValueError) as error:
            raise InvalidSpecError("The labels of the container are not ours.") from error


def gpus_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the UUIDs of a GPU lease; what nobody could have leased is left out."""
    return tuple(uuid for uuid in labels.get(GPUS, "").split(",") if is_gpu_uuid(uuid))


def read_port(labels: Mapping[str, str]) -> int:
    """Return the host port of the SSH server of any owner's environment; 0 if it has none."""
    text = labels.get(SSH_PORT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
