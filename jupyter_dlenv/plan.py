"""From what a user wants to what an engine is told: the container of an environment, as a value."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .engines.base import ContainerPlan, EngineFacts, FileToPut, Volume
from .images.prepare import PreparedImage
from .labels import ID, OWNER, ROLE, EnvironmentLabels
from .models import EnvironmentSpec, Mount

#: Where the host's private directory is seen inside.
RUNTIME_TARGET = "/run/dlenv"
AGENT_TARGET = "/opt/dlenv/agent"
HOME_TARGET = "/home/dlenv"
_LAUNCHING = ".launching"
_REPLACED = ".replaced"
#: The profile of a login shell replaces PATH, and with it the image's own programs.
_PROFILE = FileToPut(
    path="/etc/profile.d/zz-dlenv.sh",
    content=b'if [ -n "${DLENV_PATH-}" ]; then PATH=$DLENV_PATH; export PATH; fi\n',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever launches: new files in mounted directories belong to them."""

    uid: int
    gid: int
    name: str

    @classmethod
    def current(cls) -> Caller:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            # A uid without a passwd entry, as in many containers.
            name = f"u{os.getuid()}"
        return cls(uid=os.getuid(), gid=os.getgid(), name=name)


def container_name(owner: str, name: str, *, launching: bool = False) -> str:
    """Return the engine-wide name; a dot is in neither part, so no two can collide.

    Until the launch has succeeded the name has a suffix.  Taking it off is one atomic
    step of the engine, and the mark that the environment is complete.
    """
    return f"dlenv.{owner}.{name}{_LAUNCHING if launching else ''}"


def is_launching(container: str) -> bool:
    """Tell from a container's name whether its launch has not yet succeeded."""
    return container.endswith(_LAUNCHING)


def replaced_name(owner: str, name: str) -> str:
    """Return the name of a container that is about to be replaced by another one."""
    return f"{container_name(owner, name)}{_REPLACED}"


def is_replaced(container: str) -> bool:
    """Tell from a container's name whether another one takes its place."""
    return container.endswith(_REPLACED)


def home_volume(owner: str, name: str) -> str:
    """Return the name of the volume that holds an environment's home directory."""
    return f"dlenv.{owner}.{name}.home"


def process_user(spec: EnvironmentSpec, caller: Caller, facts: EngineFacts) -> str:
    """Return ``UID:GID`` of kernels and shells, or empty for the image's USER."""
    if spec.user == "image":
        return ""
    # Root inside a rootless engine is the calling user outside.
    if spec.user == "root" or (spec.user == "caller" and facts.rootless):
        return "0:0"
    return f"{caller.uid}:{caller.gid}" if spec.user == "caller" else spec.user


def image_container(
    spec: EnvironmentSpec,
    *,
    labels: EnvironmentLabels,
    prepared: PreparedImage,
    user: str,
    caller: Caller,
) -> ContainerPlan:
    """Return the container of an environment on an engine that runs images.

    The agent starts through the image's own entrypoint, so that what the image sets up
    there happens.  It starts as root, gives the user a home, and drops to the user.
    """
    command = [labels.python, AGENT_TARGET, "--directory", RUNTIME_TARGET, "--home", labels.home]
    if user:
        uid, _, gid = user.partition(":")
        name = caller.name if int(uid) == caller.uid else f"u{uid}"
        command += ["--uid", uid, "--gid", gid, "--user-name", name]
    return ContainerPlan(
        name=container_name(labels.owner, spec.name, launching=True),
        image=prepared.image_id,
        command=tuple(command),
        entrypoint=None if prepared.probe.entrypoint_runs_commands else (),
        labels=labels.to_labels(),
        env={
            # CUDA alone would number the fastest GPU first, nvidia-smi goes by the bus.
            **({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if labels.gpus else {}),
            **spec.env,
            "DLENV_ENVIRONMENT": spec.name,
            "DLENV_IMAGE": spec.image,
        },
        user="0:0" if user else "",
        hostname=spec.name.replace("_", "-").strip("-"),
        mounts=(*spec.mounts, *_shared(labels)),
        volumes=_home_volumes(spec, labels),
        ports=spec.ports,
        shm_size=spec.shm_size,
        ulimits=spec.ulimits,
        gpus=labels.gpus,
        files=(*agent_files(), _PROFILE),
        # Keys of SSH are there, which nobody shall hand out with a saved image.
        in_memory=(RUNTIME_TARGET,) if labels.streamed else (),
    )


def process_container(spec: EnvironmentSpec, *, labels: EnvironmentLabels) -> ContainerPlan:
    """Return the plain process of an environment on an engine without images."""
    agent = str(resources.files(__package__).joinpath("agent"))
    command = (labels.python, agent, "--directory", labels.runtime_dir, "--home", labels.home)
    return ContainerPlan(
        name=container_name(labels.owner, spec.name, launching=True),
        image=spec.image,
        command=command,
        labels=labels.to_labels(),
        env={**spec.env, "DLENV_ENVIRONMENT": spec.name, "DLENV_IMAGE": spec.image},
        ports=spec.ports,
        gpus=labels.gpus,
    )


def environment_home(spec: EnvironmentSpec, *, prepared: PreparedImage | None) -> str:
    """Return the home directory inside: writable, and never the host's own.

    A host's ``~/.local`` would shadow the packages of the image, so a mount of it does
    not become the home.  An image's own USER keeps the image's home.
    """
    if prepared is None:
        return str(Path.home())
    if spec.user == "image":
        home = prepared.probe.home
        return home if home.startswith("/") and home.count("/") >= 1 and home != "/" else "/tmp"  # noqa: S108
    return HOME_TARGET


def environment_python(prepared: PreparedImage | None) -> str:
    """Return the interpreter that runs the agent and the kernels."""
    return sys.executable if prepared is None else prepared.probe.python


def agent_files() -> tuple[FileToPut, ...]:
    """Return the agent's source, as it is put into a container."""
    source = resources.files(__package__).joinpath("agent")
    return tuple(
        FileToPut(path=f"{AGENT_TARGET}/{file.name}", content=file.read_bytes())
        for file in sorted(source.iterdir(), key=lambda f: f.name)
        if file.name.endswith(".py")
    )


def _shared(labels: EnvironmentLabels) -> tuple[Mount, ...]:
    if labels.streamed:
        return ()
    return (Mount(source=labels.runtime_dir, target=RUNTIME_TARGET),)


def _home_volumes(spec: EnvironmentSpec, labels: EnvironmentLabels) -> tuple[Volume, ...]:
    if labels.home == "/tmp" or any(m.target == labels.home for m in spec.mounts):  # noqa: S108
        return ()
    volume = Volume(
        name=home_volume(labels.owner, spec.name),
        target=labels.home,
        labels={ROLE: "home", OWNER: labels.owner, ID: labels.id},
    )
    return (volume,)
