"""The documentation builds without a warning, and holds what it generates from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_dlenv.configuration import Configuration
from jupyter_dlenv.server.app import DlenvApp
from jupyter_dlenv.server.handlers import ROUTES

ROOT = Path(__file__).parents[2]


def own_traits(kind):
    return [n for n, trait in kind.class_traits(config=True).items() if trait.this_class is kind]


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
    settings = (tmp_path / "html/reference/settings.html").read_text(encoding="utf-8")
    routes = (tmp_path / "html/reference/rest.html").read_text(encoding="utf-8")
    assert "--shm-size" in commands
    assert "--carry" in commands
    own = [n for kind in (Configuration, DlenvApp) for n in own_traits(kind)]
    assert [] == [name for name in own if f"{name}</span>" not in settings]
    assert len(ROUTES) <= routes.count("authorizer")
    assert "EnvironmentHandle.run" in classes
