"""What there is to choose from, as values that every door shows: listings, offers, tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..engines.base import ImageFacts
from .catalogue import CatalogueEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A recommended image.

    Attributes:
        repository: With the registry: what stands before a tag.
        ready: Its tags that the engine has, the newest first.
        tags: Those of the registry; ``None`` if it was not asked, or did not answer.
        problem: Why it did not answer, or empty.
    """

    entry: CatalogueEntry
    repository: str
    ready: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.entry.name,
            "title": self.entry.title,
            "purpose": self.entry.purpose,
            "repository": self.repository,
            "notes": self.entry.notes,
            "ready": list(self.ready),
            "tags": None if self.tags is None else list(self.tags),
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The images that need no download, and those that are recommended."""

    registry: str
    images: tuple[ImageFacts, ...] = ()
    offers: tuple[Offer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "registry": self.registry,
            "images": [write_image(image) for image in self.images],
            "offers": [offer.to_json() for offer in self.offers],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TagList:
    """The tags of one repository, the newest first.

    Attributes:
        tags: Those of the registry, or the ready ones if it does not answer.
        ready: Those that the engine has.
        problem: Why the registry does not answer, or empty.
    """

    repository: str
    tags: tuple[str, ...]
    ready: tuple[str, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "tags": [{"tag": tag, "ready": tag in self.ready} for tag in self.tags],
            "problem": self.problem,
        }


def write_image(image: ImageFacts) -> dict[str, Any]:
    """Return an image of the engine as every door shows it."""
    # Not its variables: images carry secrets there more often than they should.
    return {
        "id": image.id,
        "tags": list(image.tags),
        "digests": list(image.digests),
        "size": image.size,
        "created": image.created,
        "architecture": image.architecture,
    }
