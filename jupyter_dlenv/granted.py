"""What a container really has of its host, whatever its labels say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the engine was told when the container was made.

    Attributes:
        mounts: Paths of the engine's host.
        bindings: Addresses and ports of the engine's host; port 0 is any free one.
        powers: What no environment ever has, as one reads it: ``--privileged``, ``--pid host``.
    """

    mounts: tuple[str, ...] = ()
    bindings: tuple[tuple[str, int], ...] = ()
    powers: tuple[str, ...] = ()


NOTHING = Granted()
