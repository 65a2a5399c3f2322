"""Reads the GPUs when it is told to: a process of its own, that has the fake library.

Each line of stdin is a command: ``read`` prints an inventory as a line of JSON, ``inventory``
the same for a program that has our classes, ``advance N`` lets N seconds pass,
``close`` closes the reader, ``shutdown`` is somebody else's mistake.
"""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from jupyter_dlenv.gpus.inventory import Inventory
from jupyter_dlenv.gpus.nvml import NvmlReader
from jupyter_dlenv.gpus.processes import look_up

from .nvml import FakeNvml


class RemoteReader:
    """The other end: starts the process and tells it what to do."""

    def __init__(self, fake: FakeNvml, environ: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rig.nvml_reader"],
            cwd=Path(__file__).parents[1],
            env=environ or fake.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> RemoteReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def read(self) -> dict[str, Any]:
        return json.loads(self.tell("read"))

    def inventory(self) -> Inventory:
        return pickle.loads(base64.b64decode(self.tell("inventory")))

    def tell(self, command: str) -> str:
        """Send a command and return the line that it prints."""
        assert self._process.stdin
        assert self._process.stdout
        print(command, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()


class _Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def main() -> None:
    clock = _Clock()
    reader = NvmlReader(clock=clock, describe=look_up)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "read":
            print(json.dumps(reader.read().to_json()), flush=True)
            continue
        if command == "inventory":
            print(base64.b64encode(pickle.dumps(reader.read())).decode(), flush=True)
            continue
        if command == "advance":
            clock.seconds += float(argument)
        elif command == "close":
            reader.close()
        elif command == "shutdown":
            import pynvml

            pynvml.nvmlShutdown()
        print(flush=True)


if __name__ == "__main__":
    main()
