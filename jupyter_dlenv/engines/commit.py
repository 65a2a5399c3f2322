"""What some engines can do besides: make images of containers, and give images away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from .base import ImageFacts, ReportTransfer


@runtime_checkable
class SupportsCommit(Protocol):
    """An engine that makes images of containers, and gives images to registries."""

    async def commit(
        self, container_id: str, *, tag: str, like: ImageFacts, labels: Mapping[str, str]
    ) -> ImageFacts:
        """Make an image of a container's files, without its volumes and mounts.

        The container stands still meanwhile.  An image that has the tag loses it.  What is
        cancelled leaves no image and no tag, but a commit that has begun comes to its end.

        Args:
            like: The image that the new one starts as: variables, entrypoint, command, user
                and directory.  What the container was told besides is not kept; of its
                variables only the names are, unset.
            labels: All that the image shall have; others of the container become empty.

        Raises:
            ContainerNotFoundError, DiskFullError, EngineError
        """

    async def push(self, image: str, report: ReportTransfer) -> str:
        """Give an image to its registry, with the user's login; return its digest.

        May take an hour; cancelling returns at once, and the engine stops after the request
        that is under way.

        Raises:
            ImageNotFoundError, RegistryRefusedError, RegistryUnreachableError, EngineError
        """
