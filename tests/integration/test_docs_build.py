"""The documentation builds without a warning, and holds what it generates from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    """Earns its time: a broken reference is found by nobody else before a reader does."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    commands = (tmp_path / "html/reference/cli.html").read_text(encoding="utf-8")
    classes = (tmp_path / "html/reference/python.html").read_text(encoding="utf-8")
    assert "--shm-size" in commands
    assert "EnvironmentHandle.run" in classes
