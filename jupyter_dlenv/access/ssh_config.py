"""One block in the user's ``~/.ssh/config`` that includes ours, and nothing else there, ever.

The rest of the file is bytes to us: it is never parsed, never printed again.  What we added
can be taken out again byte for byte.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import glob
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import SshConfigError
from .client import tilde

_BEGIN = b"# >>> jupyter_dlenv >>>"
#: In the place of that, where there was no file before us.
_BEGIN_OF_NEW = b"# >>> jupyter_dlenv (made this file) >>>"
_END = b"# <<< jupyter_dlenv <<<"
_BLOCK = re.compile(
    rb"^(?P<begin>%s|%s)\r?\n(?P<lines>(?:(?!%s).*\n)*?)%s(?:\r?\n|\Z)(?P<gap>\r?\n)?"
    % tuple(map(re.escape, (_BEGIN, _BEGIN_OF_NEW, _END, _END))),
    re.MULTILINE,
)
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of the file; ``None`` stands for no file."""

    path: Path
    before: bytes | None
    after: bytes | None

    @property
    def changes(self) -> bool:
        return self.before != self.after

    def diff(self) -> str:
        """Return the change as people read it."""
        before, after = (
            (text or b"").decode(errors="replace").splitlines()
            for text in (self.before, self.after)
        )
        name = tilde(self.path)
        return "\n".join(difflib.unified_diff(before, after, name, f"{name} (new)", lineterm=""))


class UserSshConfig:
    """The user's own SSH configuration, as far as it is our business.

    All methods block and belong in a thread.

    Args:
        path: The file; a link to it is followed and kept.
        base: The directory of our files, one directory for each environment.
    """

    def __init__(self, path: Path, base: Path) -> None:
        self.path = path
        pattern = f"{glob.escape(tilde(base))}/*/config"
        quoted = f'"{pattern}"' if re.search(r"\s", pattern) else pattern
        self.include = f"Include {quoted}"

    def installed(self) -> bool:
        """Tell whether ssh finds the environments by the file."""
        match = _BLOCK.search(_read(self.path) or b"")
        return match is not None and self.include.encode() in _lines(match)

    def installation(self) -> Edit:
        """Return the change that ``install`` would make."""
        return self._edit(self._with_include)

    def install(self) -> Edit:
        """Put the block at the top: further down it would belong to some ``Host``.

        Raises:
            SshConfigError: The file, or its directory, is not to be changed.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._apply(self._with_include)

    def uninstall(self) -> Edit:
        """Take out what ``install`` put in.

        Raises:
            SshConfigError
        """
        return self._apply(self._without_include)

    def _with_include(self, before: bytes | None) -> bytes:
        text = before or b""
        match = _BLOCK.search(text)
        lines = _lines(match) if match else []
        if self.include.encode() in lines:
            return text
        begin = match["begin"] if match else _BEGIN_OF_NEW if before is None else _BEGIN
        rest = _cut(text, match) if match else text
        return _block(begin, [*lines, self.include.encode()], rest)

    def _without_include(self, before: bytes | None) -> bytes | None:
        match = _BLOCK.search(before or b"")
        if before is None or match is None:
            return before
        lines = [line for line in _lines(match) if line != self.include.encode()]
        rest = _cut(before, match)
        if len(lines) == len(_lines(match)):
            return before
        if lines:
            return _block(match["begin"], lines, rest)
        return None if match["begin"] == _BEGIN_OF_NEW and not rest.strip() else rest

    def _edit(self, change: Callable[[bytes | None], bytes | None]) -> Edit:
        before = _read(self.path)
        return Edit(path=self.path, before=before, after=change(before))

    def _apply(self, change: Callable[[bytes | None], bytes | None]) -> Edit:
        real = Path(os.path.realpath(self.path))
        if not real.parent.is_dir():
            return self._edit(lambda before: before)
        with _translated(self.path), _locked(real.parent):
            for _ in range(_TRIES):
                edit = self._edit(change)
                if not edit.changes or _exchange(real, edit):
                    return edit
        raise SshConfigError(f"{self.path} is being changed by somebody else all the time.")


def _lines(match: re.Match[bytes]) -> list[bytes]:
    return [line.strip() for line in match["lines"].splitlines() if line.strip()]


def _cut(text: bytes, match: re.Match[bytes]) -> bytes:
    return text[: match.start()] + text[match.end() :]


def _block(begin: bytes, lines: list[bytes], rest: bytes) -> bytes:
    newline = b"\r\n" if b"\r\n" in rest else b"\n"
    block = newline.join((begin, *lines, _END)) + newline
    # The empty line goes with the block when that goes.
    return block + (newline + rest if rest else b"")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SshConfigError(f"{path} cannot be read.", detail=str(error)) from error


def _exchange(real: Path, edit: Edit) -> bool:
    """Write a change at once; return false if the file is not as it was read any more."""
    mode = 0o600
    if edit.before is not None:
        found = real.stat()
        mode = found.st_mode & 0o7777
        if not mode & 0o200:
            raise PermissionError(errno.EACCES, "the file is read-only")
    if edit.after is None:
        if _read(real) != edit.before:
            return False
        real.unlink()
        return True
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(edit.after)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if edit.before is not None and (found.st_uid, found.st_gid) != _owner(file.fileno()):
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            os.fsync(file.fileno())
        if _read(real) != edit.before:
            return False
        new.replace(real)
    finally:
        with suppress(FileNotFoundError):
            new.unlink()
    return True


def _owner(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_uid, found.st_gid


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    # The directory itself: a file for the lock would be one more thing in the user's ~/.ssh.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems have no locks; then the comparison before the write has to do.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SshConfigError(f"{path} cannot be changed.", detail=str(error)) from error
