"""How the tags of a repository are ordered, which nobody wants to see, and which one works."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

#: Jetson's images, images without Python or with development kits only, daily builds, and
#: the signatures that some registries keep beside the images.
_HIDDEN = re.compile(
    r"latest\Z|nightly|(?:^|-)(?:igpu|min|sdk)(?:-|\Z)|sha256-|.*\.(?:sig|att|sbom)\Z"
)
_VERSION = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)")
_PART = re.compile(r"([0-9]+)")


def newest_first(tags: Iterable[str], *, pattern: str = "") -> tuple[str, ...]:
    """Return the tags that people choose from, by version, the newest first.

    Args:
        pattern: A regular expression that the whole tag matches; empty means any.
    """
    wanted = re.compile(pattern or r".*")
    shown = {t for t in tags if not _HIDDEN.search(t) and wanted.fullmatch(t)}
    # Where versions are equal, the plain tag comes before its variants.
    return tuple(sorted(sorted(shown), key=version, reverse=True))


def version(tag: str) -> tuple[int, ...]:
    """Return the version that a tag begins with: ``(25, 10)``, and ``()`` if there is none."""
    match = _VERSION.match(tag)
    # The longest number that a calendar or a version has; others are hashes.
    return tuple(int(x[:9]) for x in match[1].split(".")) if match else ()


def variant(tag: str) -> str:
    """Return a tag without its version: ``25.10-tf2-py3`` and ``25.02-tf2-py3`` have one."""
    match = _VERSION.match(tag)
    rest = tag[match.end() :] if match else tag
    # "cuda13.0-devel" and "cuda12.9-devel" are one variant too.
    return _PART.sub("0", re.sub(r"[0-9]+(?:\.[0-9]+)+", "0", rest))


def plainest(tags: Sequence[str]) -> tuple[str, ...]:
    """Return one tag for each version, all of one variant: the shortest of the newest version.

    Args:
        tags: The newest first.
    """
    if not tags:
        return ()
    newest = [t for t in tags if version(t) == version(tags[0])]
    wanted = variant(min(newest, key=len))
    found: dict[tuple[int, ...], str] = {}
    for tag in tags:
        if variant(tag) == wanted:
            # "cuda13-py3.10" and "cuda13-py3.13" are one version, of which the last is meant.
            found[version(tag)] = max(found.get(version(tag), ""), tag, key=_numbers)
    return tuple(found.values())


async def newest_that(works: Callable[[str], Awaitable[bool]], tags: Sequence[str]) -> str:
    """Return the newest tag that works, or nothing; only a few are tried.

    What is too new for a driver or a GPU is followed by older ones that are not: so those
    after the first are not tried one by one, but by halves.

    Args:
        tags: The newest first.
    """
    if not tags or await works(tags[0]):
        return tags[0] if tags else ""
    low, high = 1, len(tags)
    while low < high:
        middle = (low + high) // 2
        if await works(tags[middle]):
            high = middle
        else:
            low = middle + 1
    return tags[low] if low < len(tags) else ""


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(x[:9]) for x in re.findall(r"[0-9]+", tag))
