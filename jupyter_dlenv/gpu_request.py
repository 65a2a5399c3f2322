"""What GPUs a user wants, as it is written on a command line and in a specification."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InvalidSpecError

_INDEX = re.compile(r"[0-9]{1,3}(?::[0-9]{1,2})?\Z")
_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Fa-f][0-9A-Fa-f-]{0,35}\Z")
_COUNT = re.compile(r"[0-9]{1,3}\Z")
_PREFIX = "device="
_HINT = "Write a count, all, device=0,3, or UUIDs such as GPU-1b2c or MIG-3d4e."


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRequest:
    """A count, all GPUs, or devices by name; by default none.

    Attributes:
        devices: Indices (``3``, or ``2:1`` for a MIG device of GPU 2) and UUIDs, of which the
            first characters are enough.
    """

    count: int = 0
    all: bool = False
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.count != 0) + self.all + bool(self.devices) > 1:
            raise InvalidSpecError("GPUs are wanted in more than one way.", hint=_HINT)
        if not 0 <= self.count < 1000:
            raise InvalidSpecError(f"{self.count} is not a number of GPUs.", hint=_HINT)
        for device in self.devices:
            if not (_INDEX.match(device) or _UUID.match(device)):
                raise InvalidSpecError(f"{device[:60]!r} names no GPU.", hint=_HINT)
        if len(set(self.devices)) < len(self.devices):
            raise InvalidSpecError("A GPU is named twice.", hint=_HINT)

    @classmethod
    def parse(cls, value: str | int) -> GpuRequest:
        """Read what a user wrote, or what ``str`` returned.

        Raises:
            InvalidSpecError: It is nothing of that.
        """
        # To Python, but not to a user, ``true`` is a number.
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(count=value)
        if not isinstance(value, str):
            raise InvalidSpecError(f"{value!r} is not a number of GPUs.", hint=_HINT)
        # `docker run` wants quotes around the whole.
        text = value.strip().strip("\"'")
        if text == "all":
            return cls(all=True)
        if _COUNT.match(text):
            return cls(count=int(text))
        if text.startswith((_PREFIX, "GPU-", "MIG-")):
            return cls(devices=tuple(x.strip() for x in text.removeprefix(_PREFIX).split(",")))
        # A list of indices is not guessed at: "0,1" would be two GPUs, and "0" none.
        raise InvalidSpecError(f"{text[:60]!r} does not say which GPUs.", hint=_HINT)

    @property
    def wants_none(self) -> bool:
        return not (self.count or self.all or self.devices)

    @property
    def fewest(self) -> int:
        """Return the number of GPUs that are wanted at least; ``all`` may be any number."""
        return self.count or len(self.devices) or int(self.all)

    @property
    def words(self) -> str:
        """Return what it wants as a part of a sentence, such as ``2 GPUs``."""
        if self.devices:
            return f"GPU{'s' if len(self.devices) > 1 else ''} {', '.join(self.devices)}"
        return "all GPUs" if self.all else f"{self.count} GPU{'s' if self.count != 1 else ''}"

    @property
    def anywhere(self) -> GpuRequest:
        """Return a request for as many, whichever are free."""
        return GpuRequest(count=len(self.devices)) if self.devices else self

    def to_json(self) -> int | str:
        """Return what ``parse`` reads: a count as a number."""
        return str(self) if self.all or self.devices else self.count

    def __str__(self) -> str:
        if self.devices:
            return _PREFIX + ",".join(self.devices)
        return "all" if self.all else str(self.count)


def is_gpu_uuid(text: str) -> bool:
    """Tell whether a text has the form of a GPU's or MIG device's UUID."""
    return _UUID.match(text) is not None
