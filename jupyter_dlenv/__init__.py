"""Deep-learning containers as Jupyter environments: the package's doors for Jupyter."""

from __future__ import annotations

from typing import Any

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-dlenv"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    # Imported here: a kernel that only loads a magic must not pay for the server.
    from .server.app import DlenvApp  # noqa: PLC0415

    return [{"module": "jupyter_dlenv", "app": DlenvApp}]
