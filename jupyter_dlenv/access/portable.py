"""An environment as any other tool can start it: what was asked for, without what is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engines.base import ImageFacts
from ..images.pin import pinned, registry_digest
from ..models import Environment, Mount, PortMapping, Ulimit
from ..secrecy import looks_secret

#: Where users without a home in the image may write.
_SPARE_HOME = "/tmp"  # noqa: S108 - inside a container


@dataclass(frozen=True, slots=True, kw_only=True)
class Portable:
    """What a container needs to be the same environment.

    Attributes:
        image: With the digest, where a registry knows it by one.
        user: ``UID:GID``, or empty for the image's USER.
        env: Without what looks secret.
        gpus: How many, where no names of them are known; -1 is all.
        gpu_devices: Their UUIDs, or their indices.
        secret: Names of the variables that are passed on by name only.
        workdir: Empty means the image's own, which is ``image_workdir``.
        notes: What is not the same, for people.
    """

    name: str
    image: str
    user: str
    env: Mapping[str, str]
    secret: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    gpus: int = 0
    gpu_devices: tuple[str, ...] = ()
    workdir: str = ""
    image_workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def hostname(self) -> str:
        """Return the name in letters that host names may have."""
        return self.name.replace("_", "-").strip("-")


def portable(
    environment: Environment,
    image: ImageFacts | None,
    *,
    user: str,
) -> Portable:
    """Return what of an environment others can have.

    Args:
        image: The one that the user named, as the engine has it now, if it still does.
        user: Of the environment's processes, as ``plan.process_user`` tells.
    """
    spec = environment.spec
    secret = tuple(key for key in spec.env if looks_secret(key))
    env = {key: value for key, value in spec.env.items() if key not in secret}
    if user.partition(":")[0] not in ("", "0"):
        env.setdefault("HOME", _SPARE_HOME)
    devices = environment.gpu_uuids or spec.gpus.devices
    if spec.gpus.wants_none:
        # Images of NVIDIA's ask for all GPUs unless somebody says otherwise.
        env["NVIDIA_VISIBLE_DEVICES"] = "void"
    digest = registry_digest(spec.image, image) if image else ""
    notes = ["What was installed in the environment is not in it: `jupyter dlenv save` keeps that."]
    if not digest:
        notes.append(
            f"No registry is known to have {spec.image}: on other machines it may be missing, "
            "or another image."
        )
    if secret:
        notes.append(f"Passed on by name, without their values: {', '.join(secret)}.")
    if environment.gpu_uuids:
        notes.append("Its GPUs are named by UUIDs of this machine; on another, write a number.")
    running = {(p.container_port, p.host_ip): p for p in environment.ports}
    return Portable(
        name=spec.name,
        image=pinned(spec.image, digest),
        user=user,
        env=env,
        secret=secret,
        mounts=spec.mounts,
        ports=tuple(
            running.get((p.container_port, p.host_ip), p) if not p.host_port else p
            for p in spec.ports
        ),
        shm_size=spec.shm_size,
        ulimits=spec.ulimits,
        gpus=0 if devices else -1 if spec.gpus.all else spec.gpus.count,
        gpu_devices=devices,
        workdir=spec.workdir,
        image_workdir=image.workdir if image else "",
        labels=spec.labels,
        notes=tuple(notes),
    )
