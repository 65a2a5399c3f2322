"""The very image that a project was last launched with: ``dlenv.lock``, beside ``dlenv.toml``.

A tag can be moved; a digest cannot.  A lock cannot lead to another repository than the
project's: a name in it counts only as what the short name of a recommended image meant.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from .engines.base import Engine, ImageFacts, SupportsImages
from .errors import InvalidSpecError, InvalidSpecFileError, LockOutdatedError
from .images.pin import pinned, registry_digest
from .images.reference import ImageReference
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
        image: What ``dlenv.toml`` said when it was pinned.
        reference: What that meant; another text only for the short name of a recommended image.
        digest: What registries know the image by, or empty if none has it.
        image_id: What the engine knows it by; all there is of an image that was never pushed.
    """

    image: str
    reference: str
    digest: str = ""
    image_id: str = ""

    def pinned(self, image: str, *, path: Path, repository: str = "") -> str:
        """Return the reference that is certain to mean the pinned image.

        Args:
            image: What ``dlenv.toml`` says now.
            path: Of the lock, for the message.
            repository: That of the recommended image, if that is what the text names.

        Raises:
            LockOutdatedError: The lock was made for another image.
        """
        if self.image != image:
            raise LockOutdatedError(f"{path} pins {self.image}, but {image} is wanted.")
        if self.reference != image and repository != _repository(self.reference):
            raise LockOutdatedError(f"{path} pins {self.reference}, which {image} does not mean.")
        return pinned(self.reference, self.digest)

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


def lock_of(image: str, launched: str, facts: ImageFacts) -> Lock:
    """Return the lock of an image that the engine has.

    Args:
        image: What ``dlenv.toml`` says.
        launched: The reference that it was launched by.
    """
    reference = image if "@" in image else launched.partition("@")[0]
    digest = registry_digest(launched, facts)
    return Lock(image=image, reference=reference, digest=digest, image_id=facts.id)


async def pin(
    engine: Engine, path: Path, *, image: str, launched: str, anew: bool = False
) -> Lock | None:
    """Pin what was launched; return the lock that was written.

    Args:
        path: Of the lock; one that is there stays as it is.
        image: What ``dlenv.toml`` says.
        launched: The image's reference as it was launched.
        anew: Write another even so.
    """
    if not isinstance(engine, SupportsImages):
        return None
    if not anew and await asyncio.to_thread(path.exists):
        return None
    lock = lock_of(image, launched, await engine.inspect_image(launched))
    await asyncio.to_thread(write_lock, path, lock)
    return lock


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
            reference=typed(data, "reference", str, "") or typed(data, "image", str, ""),
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
    values = {
        "version": _VERSION,
        "image": lock.image,
        "reference": "" if lock.reference == lock.image else lock.reference,
        "digest": lock.digest,
        "id": lock.image_id,
    }
    text = tomli_w.dumps({key: value for key, value in values.items() if value})
    scratch = path.with_name(f".{path.name}.new")
    # What lies there may be a link that came with the project, to a file that is no lock.
    scratch.unlink(missing_ok=True)
    with scratch.open("x", encoding="utf-8") as file:
        file.write(f"{_HEAD}{text}")
    scratch.replace(path)


def _repository(reference: str) -> str:
    parsed = ImageReference.parse(reference)
    return f"{parsed.registry}/{parsed.repository}"


def _unusable(path: Path, why: str) -> InvalidSpecFileError:
    return InvalidSpecFileError(
        f"{path} cannot be used: {why}.",
        hint="Pin anew: `jupyter dlenv launch --update-lock`.",
    )
