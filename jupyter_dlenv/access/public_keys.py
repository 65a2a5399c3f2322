"""Public keys: which lines are some, and which ones the user has already."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidSpecError

_LINE = re.compile(
    r"(?P<kind>ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r"[ \t]+(?P<data>[A-Za-z0-9+/]{40,16000}={0,2})(?:[ \t]+(?P<comment>[^\n]*))?\Z"
)
_DATA = re.compile(r"(?:\A|[ \t])(AAAA[A-Za-z0-9+/]{36,}={0,2})")
_LARGEST_FILE = 1024 * 1024


def public_key(text: str) -> str:
    """Return a public key as one clean line of ``authorized_keys``.

    Raises:
        InvalidSpecError: It is none, or it has options before it, which we would not keep.
    """
    match = _LINE.match(text.strip())
    if match is None:
        hint = "A public key is one line such as `ssh-ed25519 AAAA… me@laptop`, from a .pub file."
        if "PRIVATE KEY" in text:
            hint = f"That is a private key, which nobody else needs. {hint}"
        raise InvalidSpecError("This is not a public SSH key.", hint=hint)
    kind, data = match["kind"], match["data"]
    if _kind_inside(data) != kind:
        raise InvalidSpecError(
            "The public SSH key is damaged.", hint="Copy the whole line of the .pub file."
        )
    comment = re.sub(r"[^\x20-\x7e]", "", match["comment"] or "").strip()[:100]
    return " ".join(filter(None, (kind, data, comment)))


def own_public_keys(directory: Path) -> tuple[str, ...]:
    """Return the keys that the user has (``*.pub``) or lets in (``authorized_keys``).

    A line of ``authorized_keys`` with options is passed over: it lets its key do less than
    everything, and here it could do everything.  Blocks for a moment.
    """
    return tuple(dict.fromkeys(_own(directory)))


def without_twins(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys, each once, whatever the comments say."""
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(key.split()[1], key)
    return tuple(first.values())


def _own(directory: Path) -> Iterator[str]:
    try:
        files = sorted(directory.glob("*.pub"))
    except OSError:
        files = []
    for line in (line for file in files for line in _lines(file)):
        with suppress(InvalidSpecError):
            yield public_key(line)
    let_in = _lines(directory / "authorized_keys")
    restricted = {
        data for line in let_in if not _LINE.match(line.strip()) for data in _DATA.findall(line)
    }
    for line in let_in:
        with suppress(InvalidSpecError):
            # What is restricted in one line is not set free by a copy in another.
            if (key := public_key(line)).split()[1] not in restricted:
                yield key


def _lines(file: Path) -> list[str]:
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST_FILE:
            return []
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _kind_inside(data: str) -> str:
    try:
        blob = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return ""
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length].decode("ascii", "replace")
