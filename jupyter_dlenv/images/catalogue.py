"""The images that we recommend, as data, and the names that people call them by."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from .reference import ImageReference
from .tags import version


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A family of images, one for each month or version.

    Attributes:
        name: What a user types: ``pytorch``.
        purpose: What it is for, in a few words.
        tags: A regular expression for the tags that are offered.
        notes: What to know before one uses it; may be empty.
    """

    name: str
    title: str
    purpose: str
    repository: str
    tags: str
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The terms that whoever pulls an image accepts.

    Attributes:
        since: The first version that it is for; empty is all before.
    """

    name: str
    url: str
    since: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The recommended images of one registry; needs no network.

    Attributes:
        registry: The host that the repositories are on.
    """

    registry: str
    entries: tuple[CatalogueEntry, ...]
    licences: tuple[Licence, ...] = ()

    @classmethod
    def load(cls, *, registry: str = "") -> Catalogue:
        """Return the catalogue that comes with this package.

        Args:
            registry: Where a mirror of the images is, if not at NVIDIA's own registry.
        """
        catalogue = _shipped()
        return replace(catalogue, registry=registry) if registry else catalogue

    def find(self, name: str) -> CatalogueEntry | None:
        """Return the entry of a name such as ``pytorch``."""
        return next((e for e in self.entries if e.name == name.lower()), None)

    def entry_of(self, reference: ImageReference) -> CatalogueEntry | None:
        """Return the entry that an image belongs to."""
        if reference.registry != self.registry:
            return None
        return next((e for e in self.entries if e.repository == reference.repository), None)

    def expand(self, text: str) -> str:
        """Return a reference with the registry in it for ``pytorch`` or ``pytorch:25.10-py3``.

        Everything else is returned as it was: it is a reference already.
        """
        name, colon, tag = text.partition(":")
        entry = self.find(name)
        return f"{self.repository(entry)}{colon}{tag}" if entry else text

    def repository(self, entry: CatalogueEntry) -> str:
        """Return the repository of an entry as one writes it before a tag."""
        return f"{self.registry}/{entry.repository}"

    def licence_of(self, reference: ImageReference) -> Licence | None:
        """Return the terms of an image of the registry, whether it is recommended or not."""
        if reference.registry != self.registry:
            return None
        number = version(reference.tag)
        fitting = [x for x in self.licences if not x.since or number >= version(x.since)]
        return max(fitting, key=lambda x: version(x.since), default=None)


@cache
def _shipped() -> Catalogue:
    text = resources.files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return Catalogue(
        registry=data["registry"],
        entries=tuple(CatalogueEntry(**entry) for entry in data["entries"]),
        licences=tuple(Licence(**licence) for licence in data["licences"]),
    )
