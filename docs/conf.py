"""How Sphinx makes the documentation of these pages and of the code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jupyter_dlenv import __version__
from jupyter_dlenv.server.openapi import description

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / "docs"))
_HOME = json.loads((_ROOT / "labextension/package.json").read_text(encoding="utf-8"))["homepage"]

project = "jupyter_dlenv"
author = "the jupyter_dlenv developers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "autodoc_traits",
    "sphinx_click",
]
exclude_patterns = ["_build"]
html_theme = "furo"

# Links such as `troubleshooting.md#what-the-doctor-finds` work on the code's host and here.
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"


def setup(app: Any) -> None:
    """Have pages of the repository that are none of these linked where the code is."""
    app.connect("source-read", _link_outside)
    app.connect("source-read", _add_routes)


def _link_outside(_app: Any, _docname: str, source: list[str]) -> None:
    source[0] = source[0].replace("](../", f"]({_HOME}/blob/main/")


def _add_routes(_app: Any, docname: str, source: list[str]) -> None:
    if docname == "reference/rest":
        # Beside this file, which Sphinx does not import as a part of anything.
        from openapi_page import page  # noqa: PLC0415

        source[0] += page(description("dlenv/api"))
