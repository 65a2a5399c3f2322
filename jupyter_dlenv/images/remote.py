"""What a registry says of an image, checked: it may have been written by anybody."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ImageError
from .reference import ImageReference

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_MOST_LAYERS = 2000
_LARGEST_LAYER = 1024**5
#: What engines call processors, in the words of registries.
_PROCESSORS = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
}
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A part of an image as the registry keeps it: compressed."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Which parts an image has.

    Attributes:
        digest: Of what the tag names, which may be an index of several processors' images.
        architectures: Of an index: the processors that it has images for.
    """

    digest: str
    config: Blob
    layers: tuple[Blob, ...]
    architectures: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Blob, ...]:
        """Return what is fetched: an image may have the same layer twice."""
        return tuple({part.digest: part for part in (self.config, *self.layers)}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """An image that a registry has.

    Attributes:
        diff_ids: The layers by their unpacked content, in the order of the manifest's.
    """

    reference: ImageReference
    manifest: Manifest
    architecture: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    diff_ids: tuple[str, ...] = ()

    @property
    def architectures(self) -> tuple[str, ...]:
        return self.manifest.architectures or (self.architecture,)


def processor(architecture: str) -> str:
    """Return an engine's architecture (``x86_64``) in a registry's word (``amd64``)."""
    return _PROCESSORS.get(architecture.lower(), architecture.lower())


def digest_of(body: bytes) -> str:
    """Return the name that registries and engines have for some content."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def read_index(body: bytes, architecture: str) -> tuple[str, tuple[str, ...]] | None:
    """Return which image of an index is for a processor, and the processors of all.

    One for another processor is chosen where none fits: there is something to show then.

    Returns:
        ``None`` if this is the manifest of one image.

    Raises:
        ImageError: It is neither.
    """
    data = _object(body)
    if not isinstance(data.get("manifests"), list):
        return None
    found: dict[str, str] = {}
    for name, digest in _platforms(data["manifests"][:_MOST_LAYERS]):
        # The first of several variants is the usual one.
        found.setdefault(name, digest)
    if not found:
        raise _nonsense("an index without an image for Linux")
    return found.get(processor(architecture), next(iter(found.values()))), tuple(found)


def read_manifest(body: bytes, *, digest: str, architectures: tuple[str, ...]) -> Manifest:
    """Read the manifest of one image.

    Raises:
        ImageError: It is none, or one of the format of 2015, which has no sizes.
    """
    data = _object(body)
    layers = data.get("layers")
    if not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
        raise _nonsense("a manifest without layers")
    return Manifest(
        digest=digest,
        config=_blob(data.get("config")),
        layers=tuple(map(_blob, layers)),
        architectures=architectures,
    )


def read_config(body: bytes, *, reference: ImageReference, manifest: Manifest) -> RemoteImage:
    """Read the configuration of an image.

    Raises:
        ImageError: It is not the one that the manifest names.
    """
    if digest_of(body) != manifest.config.digest:
        raise _nonsense("a configuration that is not the manifest's")
    data = _object(body)
    config = _mapping(data.get("config"))
    diff_ids = _mapping(data.get("rootfs")).get("diff_ids")
    variables = config.get("Env")
    architecture = data.get("architecture")
    return RemoteImage(
        reference=reference,
        manifest=manifest,
        architecture=architecture if isinstance(architecture, str) else "",
        env=dict(
            entry.partition("=")[::2]
            for entry in (variables if isinstance(variables, list) else ())
            if isinstance(entry, str)
        ),
        labels={
            key: value
            for key, value in _mapping(config.get("Labels")).items()
            if isinstance(value, str)
        },
        diff_ids=tuple(
            entry
            for entry in (diff_ids if isinstance(diff_ids, list) else ())
            if isinstance(entry, str)
        ),
    )


def read_tags(body: bytes) -> tuple[str, ...]:
    """Read a list of tags; what cannot be one is left out.

    Raises:
        ImageError: It is no list at all.
    """
    tags = _object(body).get("tags")
    if tags is None:
        # What some registries say of a repository whose tags were all removed.
        return ()
    if not isinstance(tags, list):
        raise _nonsense("no list of tags")
    shape = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
    return tuple(tag for tag in tags if isinstance(tag, str) and shape.match(tag))


def _platforms(entries: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        platform = _mapping(_mapping(entry).get("platform"))
        name, digest = platform.get("architecture"), _mapping(entry).get("digest")
        # Attestations stand in indexes as images for an unknown system.
        if platform.get("os") == "linux" and isinstance(name, str) and _is_digest(digest):
            yield name, str(digest)


def _blob(data: Any) -> Blob:
    digest, size = _mapping(data).get("digest"), _mapping(data).get("size")
    # To Python, true is a number.
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_LAYER:
        raise _nonsense("a part without a size")
    if not _is_digest(digest):
        raise _nonsense("a part without a digest")
    return Blob(digest=str(digest), size=size)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.match(value))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _nonsense("something that is not JSON") from error
    if not isinstance(data, Mapping):
        raise _nonsense("something that is not an object")
    return data


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _nonsense(what: str) -> ImageError:
    return ImageError(f"The registry answered with {what}.", hint="Try another tag or registry.")
