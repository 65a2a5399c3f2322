"""The records of the process engine: one directory for each of its containers.

All of it blocks.  A lock file makes names unique among all processes that use the store,
and the kernel frees it when a process dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from ..errors import ContainerNameTakenError, ContainerNotFoundError, EngineError
from . import process_child
from .base import ContainerPlan, ContainerState

_START_SECONDS = 30
#: The kernel counts from boot, and the boot time that psutil adds moves with NTP.
_CLOCK_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of one container; ``pid`` is 0 unless it runs."""

    directory: Path
    state: ContainerState
    environment: Mapping[str, str]
    workdir: str
    pid: int

    @property
    def log(self) -> Path:
        return self.directory / "log"


class ProcessStore:
    """The containers of one directory."""

    def __init__(self, root: Path) -> None:
        # The supervisor works elsewhere.
        self.root = root.absolute()

    def create(self, plan: ContainerPlan, environment: Mapping[str, str]) -> str:
        container_id = uuid.uuid4().hex
        directory = self.root / container_id
        with self._locked():
            self._check_free(plan.name)
            directory.mkdir(mode=0o700)
            try:
                _write(
                    directory / "container.json",
                    {
                        "id": container_id,
                        "name": plan.name,
                        "image": plan.image,
                        "command": [*(plan.entrypoint or ()), *plan.command],
                        "environment": {**environment, process_child.MARK: container_id},
                        "workdir": plan.workdir,
                        "labels": dict(plan.labels),
                        "created": datetime.now(timezone.utc).timestamp(),
                    },
                )
            except OSError:
                shutil.rmtree(directory, ignore_errors=True)
                raise
        return container_id

    def rename(self, container_id: str, name: str) -> None:
        with self._locked():
            record = self.get(container_id)
            self._check_free(name)
            path = record.directory / "container.json"
            _write(path, {**_read(path), "name": name})

    def start(self, container_id: str) -> None:
        """Start the command, supervised by a process that outlives this one."""
        directory = self.get(container_id).directory
        with _lock(directory / "lock"):
            if self.get(container_id).pid:
                return
            supervisor = subprocess.run(
                # Isolated, and without site-packages: it starts in 20 ms and sees nothing of ours.
                [sys.executable, "-I", "-S", process_child.__file__, "supervise", str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_START_SECONDS,
                check=False,
            )
        if supervisor.returncode:
            raise EngineError(
                "The process could not be started.",
                detail=supervisor.stderr.decode(errors="replace"),
            )

    def get(self, container_id: str) -> Record:
        """Find a container by id or name."""
        record = self._record(self.root / container_id) if container_id.isalnum() else None
        if record is None:
            record = next((r for r in self.all() if r.state.name == container_id), None)
        if record is None:
            raise ContainerNotFoundError(f"There is no container {container_id[:80]}.")
        return record

    def all(self) -> list[Record]:
        directories = sorted(self.root.iterdir()) if self.root.is_dir() else []
        records = (self._record(d) for d in directories if d.name.isalnum() and d.is_dir())
        return [record for record in records if record is not None]

    def forget(self, record: Record) -> None:
        """Delete a container that does not run."""
        rubbish = self.root / f".gone-{record.directory.name}"
        with self._locked():
            if not record.directory.exists():
                return
            record.directory.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)

    def _record(self, directory: Path) -> Record | None:
        container = _read(directory / "container.json")
        if not container:
            return None
        run, ended = _read(directory / "run.json"), _read(directory / "exit.json")
        pid = run.get("pid", 0)
        # Of the last run, or left from the run before.
        over = bool(run) and ended.get("started") == run["started"]
        # Until the supervisor has gone, what the command left behind may still be there.
        running = (
            bool(run)
            and not over
            and any(_is_alive(run[role], run["started"]) for role in ("pid", "supervisor"))
        )
        state = "running" if running else "exited" if run else "created"
        return Record(
            directory=directory,
            environment=container["environment"],
            workdir=container["workdir"],
            pid=pid if running else 0,
            state=ContainerState(
                id=container["id"],
                name=container["name"],
                state=state,
                labels=container["labels"],
                image_id=container["image"],
                created=_moment(container["created"]),
                started=_moment(run["started"]) if run else "",
                # Unknown, if whoever supervised it was killed.
                exit_code=ended.get("exit_code") if state == "exited" and over else None,
            ),
        )

    def _check_free(self, name: str) -> None:
        if any(record.state.name == name for record in self.all()):
            raise ContainerNameTakenError("The engine already has a container of that name.")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _lock(self.root / ".lock"):
            yield


def _is_alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return (
            abs(process.create_time() - started) < _CLOCK_SECONDS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, value: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    # It holds the environment's variables, which may be secrets.
    with open(new, "w", encoding="utf-8", opener=_private) as file:
        json.dump(value, file)
    new.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
