"""Deep-learning containers as Jupyter environments: the package's doors for Jupyter."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .api import EnvironmentHandle, RunResult, get, launch
    from .widgets import ConnectionCard, EnvironmentLauncher, GPUBoard

__all__ = [
    "ConnectionCard",
    "EnvironmentHandle",
    "EnvironmentLauncher",
    "GPUBoard",
    "RunResult",
    "__version__",
    "get",
    "launch",
]

#: Loaded when they are asked for: `import jupyter_dlenv` is what a server does with every
#: extension, and it must not wait for Docker.
_LAZY = {
    "ConnectionCard": "widgets",
    "EnvironmentLauncher": "widgets",
    "GPUBoard": "widgets",
    "EnvironmentHandle": "api",
    "RunResult": "api",
    "get": "api",
    "launch": "api",
}


def __getattr__(name: str) -> Any:
    try:
        module = import_module(f".{_LAZY[name]}", __name__)
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


def load_ipython_extension(shell: Any) -> None:
    """Have ``%dlenv`` and ``%%dlenv`` in a shell: ``%load_ext jupyter_dlenv``."""
    # Imported here for the reason above.
    from .magics import load  # noqa: PLC0415

    load(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-dlenv"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    # Imported here: a kernel that only loads a magic must not pay for the server.
    from .server.app import DlenvApp  # noqa: PLC0415

    return [{"module": "jupyter_dlenv", "app": DlenvApp}]
