"""What the GPU leases ask of an engine: what all its containers do with GPUs, and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from .base import ContainerState


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuClaim:
    """What GPUs a container may use, whoever made it.

    Attributes:
        devices: Indices and UUIDs, as it was asked for; ``2:1`` is a MIG device of GPU 2.
        minors: Numbers of device nodes, ``/dev/nvidia3``.
        everything: It sees all GPUs, and may use none of them.
    """

    state: ContainerState
    devices: tuple[str, ...] = ()
    minors: tuple[int, ...] = ()
    everything: bool = False


@runtime_checkable
class SupportsGpuLeases(Protocol):
    """An engine that shows what all its containers do with GPUs."""

    async def gpu_claims(self) -> tuple[GpuClaim, ...]:
        """Return the claims of all containers that run, or that we made and did not start yet.

        Asked under the mutex, so it has to be fast.
        """

    async def clock(self) -> datetime:
        """Return what time it is to the engine, by which it says when containers were made."""
