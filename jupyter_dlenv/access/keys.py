"""The SSH files of environments on this machine: keys, pinned host key, the client's settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import SshUnavailableError
from ..launcher import is_alive, own_identity

_KEYGEN_SECONDS = 30
_ID = re.compile(r"[0-9a-f]{10}\Z")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is known of the SSH server of an environment.

    Attributes:
        engine_id: Of the engine on which the environment is.
        launcher: The process that launches it.
        user: Whom the server lets in; empty until it has told.
        unavailable: Why there is no server, if there is none.
    """

    engine_id: str
    launcher: str
    user: str = ""
    unavailable: str = ""


class SshFiles:
    """The files of one environment, in a directory that only the caller can enter (0700).

    All methods block for a moment and belong in a thread.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def identity(self) -> Path:
        """Return the private key of whoever connects from this machine."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def config(self) -> Path:
        return self.directory / "config"

    @property
    def host_key(self) -> Path:
        return self.directory / "host_ed25519"

    def exist(self) -> bool:
        return self.host_key.is_file() and self.identity.is_file()

    def make(self, *, alias: str, engine_id: str) -> None:
        """Make a host key and a client key, and pin the host key.

        Raises:
            SshUnavailableError: There is no ssh-keygen on this machine.
        """
        self._claim(engine_id)
        for path, comment in ((self.identity, alias), (self.host_key, f"host of {alias}")):
            _generate(path, comment)
        self.write(self.known_hosts, f"{alias} {self.host_public_key()}\n")

    def take_over(self, other: SshFiles, *, engine_id: str) -> None:
        """Have the keys of another environment, and whom it lets in: clients see no change."""
        self._claim(engine_id)
        for path in (self.identity, self.host_key):
            self.write(path, other.read(other.directory / path.name))
            public = path.with_suffix(".pub").name
            self.write(self.directory / public, other.read(other.directory / public))
        self.write(self.known_hosts, other.read(other.known_hosts))
        if kept := other.authorized():
            self.authorize(kept)

    def _claim(self, engine_id: str) -> None:
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.directory.chmod(0o700)
        # First, so that whoever is killed from here on leaves nothing that cannot be swept.
        self.write_note(Note(engine_id=engine_id, launcher=own_identity()))

    def host_public_key(self) -> str:
        """Return the type and the key itself, without the comment."""
        text = self.host_key.with_suffix(".pub").read_text(encoding="utf-8")
        return " ".join(text.split()[:2])

    def client_public_key(self) -> str:
        return self.identity.with_suffix(".pub").read_text(encoding="utf-8").strip()

    def read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def write(self, path: Path, text: str) -> None:
        """Write a file of the directory at once, readable by its owner alone from the start."""
        new = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)

    def authorized(self) -> tuple[str, ...]:
        """Return the further keys that were authorised for this environment."""
        return tuple(self.read(self.directory / "authorized_keys").splitlines())

    def authorize(self, keys: tuple[str, ...]) -> None:
        kept = dict.fromkeys((*self.authorized(), *keys))
        self.write(self.directory / "authorized_keys", "".join(f"{key}\n" for key in kept))

    def note(self) -> Note | None:
        """Return what was noted; ``None`` if nothing is there that we wrote."""
        try:
            values = json.loads(self.read(self.directory / "note.json"))
            note = Note(**{name: str(values[name]) for name in Note.__dataclass_fields__})
        except (ValueError, KeyError, TypeError, OSError):
            return None
        # It becomes a line of an SSH configuration.
        return note if not note.user or _USER.match(note.user) else None

    def write_note(self, note: Note) -> None:
        self.write(self.directory / "note.json", json.dumps(asdict(note)))

    def discard(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


class SshKeys:
    """The files of all environments, below one directory.

    All methods block for a moment and belong in a thread.
    """

    def __init__(self, base: Path) -> None:
        self.base = base

    def of(self, environment_id: str) -> SshFiles:
        """Return the files of an environment, be they there or not."""
        if not _ID.match(environment_id):
            # It came from a label, and becomes a path.
            raise SshUnavailableError("The environment has an id that is none of ours.")
        return SshFiles(self.base / environment_id)

    def sweep(self, known: set[str], *, engine_id: str) -> None:
        """Remove the files of environments of this engine that are gone.

        Args:
            known: The ids of the environments that there are.
        """
        for files in list(self._all()):
            note = files.note()
            if files.directory.name in known or note is None or note.engine_id != engine_id:
                continue
            # Of a launch that has not made its container yet.
            if not is_alive(note.launcher, created=""):
                files.discard()

    def _all(self) -> Iterator[SshFiles]:
        with suppress(FileNotFoundError):
            for directory in self.base.iterdir():
                if _ID.match(directory.name):
                    yield SshFiles(directory)


def _generate(path: Path, comment: str) -> None:
    path.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    hint = "Install openssh-client where Jupyter runs."
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_KEYGEN_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SshUnavailableError(
            "SSH keys cannot be made on this machine.", hint=hint, detail=str(error)
        ) from error
    if done.returncode:
        raise SshUnavailableError(
            "SSH keys cannot be made on this machine.", hint=hint, detail=done.stderr[-2000:]
        )
