"""What runs on the far side of the process engine: started by it, and outliving it.

``supervise DIRECTORY`` runs the command of one container, and all that it starts, to its
end; ``terminal COMMAND…`` runs a command on the terminal that is its standard input.
Executed as a script, so standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

#: The variable that all processes of a container have, with its id.
MARK = "DLENV_CONTAINER"
_LOOK_SECONDS = 0.02
_NOT_FOUND = 127
_SIGNAL_BASE = 128


def supervise(directory: Path) -> int:
    """Start the command of a container; return 0 when it runs."""
    plan = json.loads((directory / "container.json").read_text(encoding="utf-8"))
    report, told = os.pipe()
    if os.fork():
        os.close(told)
        return 0 if os.read(report, 1) else 1
    os.setsid()
    # Whoever started it may unmount the directory where that was.
    os.chdir("/")
    with (directory / "log").open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        run = {"supervisor": os.getpid(), "pid": 0, "started": time.time()}
        process: subprocess.Popen[bytes] | None = None
        code = _NOT_FOUND
        try:
            process = subprocess.Popen(
                plan["command"],
                cwd=plan["workdir"] or plan["environment"].get("HOME", "/"),
                env=plan["environment"],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.write(f"{plan['command'][0]}: {error}\n".encode())
    if process is not None:
        run["pid"] = process.pid
    _write(directory / "run.json", run)
    os.write(told, b".")
    if process is not None:
        code = process.wait()
        _end_members(f"{MARK}={plan['id']}".encode())
    _write(
        directory / "exit.json", {**run, "exit_code": code if code >= 0 else _SIGNAL_BASE - code}
    )
    os._exit(0)


def terminal(command: list[str]) -> int:
    """Become the command, on the terminal that is standard input."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
    return _NOT_FOUND


def _write(path: Path, value: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value), encoding="utf-8")
    new.replace(path)


def _end_members(mark: bytes) -> None:
    """Kill whatever else was started in the container, until nothing of it is left."""
    while members := _members(mark):
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)


def _members(mark: bytes) -> list[int]:
    members = []
    for variables in Path("/proc").glob("[0-9]*/environ"):
        # Most belong to others, or end while we look.
        with suppress(OSError):
            if mark in variables.read_bytes().split(b"\0"):
                members.append(int(variables.parent.name))
    return members


if __name__ == "__main__":
    arguments = sys.argv[2:]
    sys.exit(supervise(Path(arguments[0])) if sys.argv[1] == "supervise" else terminal(arguments))
