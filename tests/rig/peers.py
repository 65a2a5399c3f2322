"""Gets the tools that read what is exported: Docker's command line, Compose, dev containers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from . import debian, programs
from .profiles import ROOT


def docker() -> Path:
    """Return Docker's command line: the machine's, or the one that came with the engine."""
    found = shutil.which("docker")
    return Path(found) if found else programs.get("28") / "usr/bin/docker"


def compose() -> Path:
    """Return Compose, version 2: Debian 12 itself only has version 1, which is out of use."""
    folder = _home() / "compose"
    if not folder.is_dir():
        scratch = folder.with_suffix(f".{os.getpid()}")
        debian.unpack(("docker-compose/forky",), scratch, suites=("forky",))
        _put(scratch, folder)
    return folder / "usr/bin/docker-compose"


def devcontainer() -> Path:
    """Return the command line of dev containers, from npm."""
    folder = _home() / "devcontainer"
    if not folder.is_dir():
        scratch = folder.with_suffix(f".{os.getpid()}")
        scratch.mkdir(parents=True)
        subprocess.run(
            [
                *("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"),
                *("--prefix", str(scratch), "@devcontainers/cli@0.89.0"),
            ],
            check=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        _put(scratch, folder)
    return folder / "node_modules/.bin/devcontainer"


def _home() -> Path:
    home = ROOT if os.getuid() == 0 else Path.home() / ".cache/dlenv-rig"
    return home / "programs"


def _put(scratch: Path, folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process was faster
        scratch.rename(folder)
    shutil.rmtree(scratch, ignore_errors=True)
