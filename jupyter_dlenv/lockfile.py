"""The very image that a project was last launched with: ``dlenv.lock``, beside ``dlenv.toml``.

A tag can be moved; a digest cannot.  Only the digest is taken from the file, never the
name of an image, so that a lock cannot lead to another repository than the project's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from .engines.base import ImageFacts
from .errors import InvalidSpecError, InvalidSpecFileError, LockOutdatedError
from .images.pin import pinned, registry_digest
from .toml_file import load
from .untrusted import typed

FILE_NAME = "dlenv.lock"
_VERSION = 1
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_HEAD = """\
# Written by `jupyter dlenv launch`: the very image of this project's environment.
# Commit it, so that everybody gets the same; `launch --update-lock` pins anew.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What is pinned.

    Attributes:
        image: The reference in ``dlenv.toml`` when it was pinned.
        digest: What registries know the image by, or empty if none has it.
        image_id: What the engine knows it by; all there is of an image that was never pushed.
    """

    image: str
    digest: str = ""
    image_id: str = ""

    def pinned(self, image: str, *, path: Path) -> str:
        """Return the reference that is certain to mean the pinned image.

        Args:
            image: What ``dlenv.toml`` says now.
            path: Of the lock, for the message.

        Raises:
            LockOutdatedError: The lock was made for another image.
        """
        if self.image != image:
            raise LockOutdatedError(f"{path} pins {self.image}, but {image} is wanted.")
        return pinned(image, self.digest)

    def check(self, facts: ImageFacts, *, path: Path) -> None:
        """Refuse another image under the old name, where the engine's id is all that is known.

        Raises:
            LockOutdatedError
        """
        if not self.digest and self.image_id != facts.id:
            raise LockOutdatedError(
                f"{self.image} is not the image any more that {path} pins.",
                detail=f"pinned {self.image_id}, found {facts.id}",
            )


def lock_of(image: str, facts: ImageFacts) -> Lock:
    """Return the lock of an image that the engine has."""
    return Lock(image=image, digest=registry_digest(image, facts), image_id=facts.id)


def read_lock(path: Path) -> Lock | None:
    """Read a lock, if there is one.

    Raises:
        InvalidSpecFileError
    """
    try:
        data, _ = load(path)
        version = typed(data, "version", int, 0)
        lock = Lock(
            image=typed(data, "image", str, ""),
            digest=typed(data, "digest", str, ""),
            image_id=typed(data, "id", str, ""),
        )
    except FileNotFoundError:
        return None
    except InvalidSpecFileError:
        raise
    except InvalidSpecError as error:
        raise _unusable(path, str(error)) from error
    if version != _VERSION:
        raise _unusable(path, f"version is {version}, not {_VERSION}")
    if not all(_DIGEST.match(text) for text in (lock.digest, lock.image_id) if text):
        raise _unusable(path, "a digest is sha256: and 64 hexadecimal digits")
    if not lock.digest and not lock.image_id:
        raise _unusable(path, "it pins nothing")
    return lock


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock; whoever reads meanwhile sees the old one or the new one."""
    values = {"version": _VERSION, "image": lock.image, "digest": lock.digest, "id": lock.image_id}
    text = tomli_w.dumps({key: value for key, value in values.items() if value})
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(f"{_HEAD}{text}", encoding="utf-8")
    scratch.replace(path)


def _unusable(path: Path, why: str) -> InvalidSpecFileError:
    return InvalidSpecFileError(
        f"{path} cannot be used: {why}.",
        hint="Pin anew: `jupyter dlenv launch --update-lock`.",
    )
