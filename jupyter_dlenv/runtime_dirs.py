"""The private directories on this machine in which the sockets of environments are."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import psutil

from .launcher import is_alive, own_identity

#: Short: a socket's path has at most 107 bytes.
_INNER = "s"
#: Stands in the name of a directory that is not complete, before the process that makes it.
_NEW = ".new-"


class RuntimeDirs:
    """One directory for each environment, below one of the caller's own.

    The outer one is 0700.  The inner one, which is mounted into the container, is open to
    all: inside, the image's own user may be anybody; outside, nobody gets past the outer.
    Its sticky bit keeps the other users inside from replacing the agent's files.

    All methods block for a moment and belong in a thread.
    """

    def __init__(self, base: Path) -> None:
        self._base = base

    def path(self, environment_id: str) -> Path:
        """Return the inner directory of an environment."""
        return self._base / environment_id / _INNER

    def trusts(self, inner: Path, environment_id: str) -> bool:
        """Tell whether a directory that a label names can only have been made by the caller.

        Another process may be configured with another base, so any place will do, as long as
        nobody else can reach it.  A place where nothing is yet has to be our own.
        """
        if inner.name != _INNER or inner.parent.name != environment_id:
            return False
        try:
            found = inner.parent.lstat()
        except OSError:
            return inner == self.path(environment_id)
        return found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700

    def make(self, inner: Path, *, engine_id: str) -> None:
        """Make the directories of an environment, if they are missing."""
        outer = inner.parent
        outer.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if outer.is_dir():
            _furnish(outer, engine_id)
            return
        # Renamed when it is complete: whoever is killed before leaves its process in the name.
        new = outer.with_name(f"{outer.name}{_NEW}{os.getpid()}")
        new.mkdir(mode=0o700)
        _furnish(new, engine_id)
        new.rename(outer)

    def with_agents(self) -> list[Path]:
        """Return the inner directories in which the socket of an agent is."""
        sockets = self._base.glob(f"*/{_INNER}/agent.sock")
        inner = [socket.parent for socket in sockets]
        return [path for path in inner if self.trusts(path, path.parent.name)]

    def discard(self, inner: Path) -> None:
        """Remove the directories of an environment, if they are there."""
        shutil.rmtree(inner.parent, ignore_errors=True)

    def sweep(self, known: set[str], *, engine_id: str) -> None:
        """Remove the directories of launches on this engine that were killed.

        Args:
            known: The ids of the environments that there are.
        """
        if not self._base.is_dir():
            return
        for directory in self._base.iterdir():
            if directory.name in known:
                continue
            if (maker := _unfinished(directory.name)) and not psutil.pid_exists(maker):
                shutil.rmtree(directory, ignore_errors=True)
                continue
            made_for = _read_note(directory)
            # Another engine's, or of a launch that has not made its container yet.
            if made_for is None or made_for[0] != engine_id or is_alive(made_for[1], created=""):
                continue
            shutil.rmtree(directory, ignore_errors=True)


def _furnish(outer: Path, engine_id: str) -> None:
    outer.chmod(0o700)
    note = f"{engine_id}\n{own_identity()}\n"
    (outer / "launcher").write_text(note, encoding="utf-8")
    inner = outer / _INNER
    inner.mkdir(exist_ok=True)
    inner.chmod(0o1777)


def _unfinished(name: str) -> int:
    """Return the process that makes a directory; 0 if it is complete, or none of ours."""
    pid = name.partition(_NEW)[2]
    return int(pid) if pid.isascii() and pid.isdigit() else 0


def _read_note(directory: Path) -> tuple[str, str] | None:
    try:
        engine_id, launcher = (directory / "launcher").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return engine_id, launcher
