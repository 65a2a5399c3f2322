"""The forwards of each environment as a private file, for those who come after this process."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from .relay import Place

_log = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{4,64}\Z")


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
        path = self._path(record.place.environment_id)
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
        self._path(environment_id).unlink(missing_ok=True)

    def sweep(self, known: Collection[str], *, engine_id: str) -> None:
        """Forget environments of this engine that are gone.

        Args:
            known: The ids of the environments that there are.
        """
        for record in self.read_all():
            if record.engine_id == engine_id and record.place.environment_id not in known:
                self.discard(record.place.environment_id)

    def _path(self, environment_id: str) -> Path:
        return self._directory / f"{environment_id}.json"


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
    return record if _ID.match(record.place.environment_id) else None
