"""What an administrator allows: the one place through which every launch passes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .errors import NotAllowedError
from .models import Environment, EnvironmentSpec
from .secrecy import without_password


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one server or user; the defaults allow what Docker allows.

    Attributes:
        allowed_images: Shell patterns over image references; ``*`` matches ``/`` too.
        allowed_engines: Shell patterns over names and URLs of engines.
        allowed_mounts: Shell patterns over the host paths of mounts, and where links there lead.
        allowed_users: Of ``caller``, ``root``, ``image``, and patterns over ``UID:GID``.
        allowed_bind_addresses: Patterns over the host addresses of published ports.
        allowed_host_ports: Lowest and highest host port that may be published.
        allowed_gpus: Indices, UUIDs or beginnings of them; ``all``.
        max_gpus: GPUs of all environments of one owner together; -1 is no limit.
        max_environments: Environments of one owner; -1 is no limit.
        max_idle_minutes: After so long without use every environment stops; -1 is no limit.
    """

    allowed_engines: tuple[str, ...] = ("*",)
    allowed_images: tuple[str, ...] = ("*",)
    allowed_mounts: tuple[str, ...] = ("*",)
    allowed_users: tuple[str, ...] = ("*",)
    allowed_bind_addresses: tuple[str, ...] = ("*",)
    allowed_host_ports: tuple[int, int] = (1024, 65535)
    allowed_gpus: tuple[str, ...] = ("all",)
    max_gpus: int = -1
    max_environments: int = -1
    max_idle_minutes: float = -1.0

    def check(
        self, spec: EnvironmentSpec, existing: Sequence[Environment], *, building: bool = False
    ) -> None:
        """Raise ``NotAllowedError``, naming the rule, unless the launch may go on.

        Looks at the disk, and belongs in a thread.

        Args:
            spec: What is wanted.
            existing: The environments that the owner has already.
            building: The image is built first, from a Dockerfile of the user's.
        """
        # Whoever builds an image gives it any name, so only the rule "all" can allow it.
        if building and "*" not in self.allowed_images:
            raise _refused("allowed_images", what="Building an image")
        self.check_spec(spec)
        if 0 <= self.max_environments <= len(existing):
            raise _refused("max_environments", what=f"A further environment beside {len(existing)}")
        if spec.idle_stop is not None and self.idle_minutes(spec.idle_stop) != spec.idle_stop:
            raise _refused("max_idle_minutes", what="Staying unused for that long")
        self.check_gpus(spec.gpus.fewest + sum(len(e.gpu_uuids) for e in existing))

    def check_environment(self, environment: Environment) -> None:
        """Raise ``NotAllowedError`` if an environment may not be used that is there already.

        It may be older than the rules, or made by hand with labels like ours that say less than
        what its container has.  Looks at the disk, as ``check`` does.
        """
        self.check_spec(environment.spec)
        self.check_gpus(len(environment.gpu_uuids))
        granted = environment.granted
        for power in granted.powers:
            raise NotAllowedError(
                f"A container with {power} is never allowed (rule privileged).",
                hint="Somebody made it by hand.  Remove it, and launch an environment.",
            )
        for path in granted.mounts:
            # Its own sockets are there.
            if path != environment.runtime_dir:
                self._check_mount(path)
        for address, port in granted.bindings:
            self._check_binding(address, port)

    def check_spec(self, spec: EnvironmentSpec) -> None:
        """Raise ``NotAllowedError`` unless there may be an environment such as this."""
        self.check_image(spec.image)
        _match("allowed_users", self.allowed_users, spec.user, what=f"The user {spec.user}")
        for mount in spec.mounts:
            self._check_mount(mount.source)
        for port in spec.ports:
            self._check_binding(port.host_ip, port.host_port)

    def idle_minutes(self, wanted: float) -> float:
        """Return after how many minutes without use an environment stops; 0 is never."""
        if self.max_idle_minutes < 0:
            return wanted
        return min(wanted, self.max_idle_minutes) if wanted else self.max_idle_minutes

    def check_engine(self, engine: str) -> None:
        """Raise ``NotAllowedError`` unless an engine may be asked, by its name or its URL."""
        what = f"The engine {without_password(engine)}"
        _match("allowed_engines", self.allowed_engines, engine, what=what)

    def check_gpus(self, number: int) -> None:
        """Raise ``NotAllowedError`` if one owner may not have so many GPUs.

        Asked again when it is known how many ``all`` are.
        """
        if 0 <= self.max_gpus < number:
            raise _refused("max_gpus", what=f"Holding {number} GPUs at once")

    def check_image(self, image: str) -> None:
        """Raise ``NotAllowedError`` unless an image may be fetched and launched."""
        _match("allowed_images", self.allowed_images, image, what=f"The image {image}")

    def allows_image(self, image: str) -> bool:
        """Tell whether an image may be fetched and launched."""
        return any(fnmatchcase(image, pattern) for pattern in self.allowed_images)

    def check_saving(self) -> None:
        """Raise ``NotAllowedError`` unless images may be made of environments."""
        # As with building: whoever makes an image gives it any name.
        if "*" not in self.allowed_images:
            raise _refused("allowed_images", what="Saving an environment as an image")

    def _check_mount(self, source: str) -> None:
        # A link in a place that is allowed may lead to one that is not.
        for path in dict.fromkeys((source, os.path.realpath(source))):
            _match("allowed_mounts", self.allowed_mounts, path, what=f"Mounting {path}")

    def _check_binding(self, address: str, port: int) -> None:
        _match(
            "allowed_bind_addresses",
            self.allowed_bind_addresses,
            address,
            what=f"Publishing on {address}",
        )
        low, high = self.allowed_host_ports
        if port and not low <= port <= high:
            raise _refused("allowed_host_ports", what=f"Publishing on port {port}")


def _match(rule: str, patterns: tuple[str, ...], value: str, *, what: str) -> None:
    if not any(fnmatchcase(value, pattern) for pattern in patterns):
        raise _refused(rule, what=what)


def _refused(rule: str, *, what: str) -> NotAllowedError:
    return NotAllowedError(
        f"{what} is not allowed here (rule {rule}).",
        hint=f"Ask the administrator of this server about c.Configuration.{rule}.",
    )
