"""How images are named: what a user types, taken apart by Docker's own grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidSpecError

_DEFAULT_REGISTRY = "docker.io"
_OFFICIAL = "library/"
_LONGEST_NAME = 255

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?\Z")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """The name of an image, complete.

    Attributes:
        registry: Host, with the port if one was given; never empty.
        repository: Path on the registry, ``library/`` of official images included.
        tag: Empty only if there is a digest.
        digest: ``sha256:…`` or empty; where it is given, the registry ignores the tag.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read what a user would give to ``docker pull``.

        Raises:
            InvalidSpecError: It is no image reference; the hint says which part.
        """
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.match(digest):
            raise _invalid(text, "After '@' comes sha256: and 64 hexadecimal digits.")
        name, tag = _split_tag(rest)
        if tag is not None and not _TAG.match(tag):
            raise _invalid(text, "A tag has letters, digits, '.', '_' and '-', at most 128.")
        registry, repository = _split_registry(name)
        if not _REGISTRY.match(registry):
            raise _invalid(text, f"{registry!r} is not the host of a registry.")
        if not _REPOSITORY.match(repository):
            lower = repository.lower()
            hint = "A repository has lower-case letters, digits and '/._-'."
            if _REPOSITORY.match(lower):
                hint = f"{hint} Did you mean {lower!r}?"
            raise _invalid(text, hint)
        if _IMAGE_ID.match(name) or len(name) > _LONGEST_NAME:
            raise _invalid(text, "Write REPOSITORY:TAG; at most 255 characters, and not an id.")
        return cls(
            registry=registry,
            repository=repository,
            tag=tag or ("" if digest else "latest"),
            digest=digest,
        )

    def __str__(self) -> str:
        """Return the reference as people write it, without what Docker implies."""
        name = f"{self.registry}/{self.repository}"
        if self.registry == _DEFAULT_REGISTRY:
            name = self.repository.removeprefix(_OFFICIAL)
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{name}{tag}{digest}"


def _split_tag(text: str) -> tuple[str, str | None]:
    # A colon before the last slash belongs to the port of the registry.
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    return name, tag


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # Docker's rule: only what cannot be the directory of a user is a host.
    if slash and (set(first) & set(".:") or first == "localhost" or first != first.lower()):
        if first in (_DEFAULT_REGISTRY, f"index.{_DEFAULT_REGISTRY}"):
            return _DEFAULT_REGISTRY, _with_official(rest)
        return first, rest
    return _DEFAULT_REGISTRY, _with_official(name)


def _with_official(repository: str) -> str:
    return repository if "/" in repository else f"{_OFFICIAL}{repository}"


def _invalid(text: str, hint: str) -> InvalidSpecError:
    return InvalidSpecError(f"{text[:100]!r} is not an image reference.", hint=hint)
