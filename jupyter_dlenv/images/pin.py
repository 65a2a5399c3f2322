"""From a tag, which can be moved, to the one image that it means now."""

from __future__ import annotations

from ..engines.base import ImageFacts
from .reference import ImageReference


def registry_digest(image: str, facts: ImageFacts) -> str:
    """Return what the registry of an image reference knows the image by, or empty."""
    wanted = ImageReference.parse(image)
    if wanted.digest:
        return wanted.digest
    for text in facts.digests:
        known = ImageReference.parse(text)
        if (known.registry, known.repository) == (wanted.registry, wanted.repository):
            return known.digest
    return ""


def pinned(image: str, digest: str) -> str:
    """Return an image reference that means one image for ever, if there is a digest."""
    return f"{image}@{digest}" if digest and "@" not in image else image
