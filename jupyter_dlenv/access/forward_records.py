"""The forwards of each environment as a private file, for those who come after this process."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .relay import Place

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardRecord:
    """What is kept of one environment.

    Attributes:
        engine_id: Of the engine that has the environment.
        ports: Pairs of a local port and the port inside.
    """

    place: Place
    engine_id: str
    ports: tuple[tuple[int, int], ...]


class ForwardRecords:
    """A file for each environment with forwards, in a directory of the user's own.

    All methods block for a moment and belong in a thread.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read_all(self) -> list[ForwardRecord]:
        """Return every record that can be read."""
        if not self._directory.is_dir():
            return []
        records = [_read(path) for path in sorted(self._directory.glob("*.json"))]
        return [record for record in records if record is not None]

    def write(self, record: ForwardRecord) -> None:
        """Keep a record; one without ports is removed."""
        path = self._path(record)
        if not record.ports:
            path.unlink(missing_ok=True)
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
        temporary.replace(path)

    def discard(self, environment_id: str) -> None:
        """Forget an environment's forwards, if there are any."""
        for record in self.read_all():
            if record.place.environment_id == environment_id:
                self._path(record).unlink(missing_ok=True)

    def sweep(self, places: Collection[Place], *, owner: str, engine_id: str) -> None:
        """Forget the owner's environments of this engine that are gone, and follow re-created ones.

        Args:
            places: All environments of the owner that there are.
        """
        for record in self.read_all():
            if record.engine_id != engine_id or record.place.owner != owner:
                continue
            now = now_at(record.place, places)
            if now is None:
                self._path(record).unlink(missing_ok=True)
            elif now != record.place:
                self.write(replace(record, place=now))

    def _path(self, record: ForwardRecord) -> Path:
        # By name: a re-created environment has another id, and keeps its forwards.
        key = f"{record.engine_id}/{record.place.owner}/{record.place.name}"
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"


def now_at(place: Place, places: Collection[Place]) -> Place | None:
    """Return where the environment of an earlier place is now, ``None`` if it is gone."""
    return next(
        (p for p in places if p == place), next((p for p in places if p.is_of(place)), None)
    )


def _read(path: Path) -> ForwardRecord | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        record = ForwardRecord(
            place=Place(**value["place"]),
            engine_id=str(value["engine_id"]),
            ports=tuple((int(local), int(port)) for local, port in value["ports"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("Ignoring %s: %s", path, error)
        return None
    return record
