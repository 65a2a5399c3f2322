"""A virtual environment with Jupyter's programs, in which there is no jupyter_dlenv."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

#: Of this checkout's own virtual environment.
_SITE = Path(sysconfig.get_path("purelib"))


def make(directory: Path) -> Path:
    """Make the virtual environment; return its Python.

    The packages are those of the tests, shown through links that leave ours out: no registry
    is asked, and it takes a moment.
    """
    packages = directory / "packages"
    packages.mkdir(parents=True)
    for entry in _SITE.iterdir():
        if "jupyter_dlenv" not in entry.name and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    _run(sys.executable, "-m", "venv", "--without-pip", str(directory / "venv"))
    python = directory / "venv/bin/python"
    site = _run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    (Path(site.strip()) / "packages.pth").write_text(f"{packages}\n", encoding="utf-8")
    return python


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
