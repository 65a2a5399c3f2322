"""Loads this folder as the package ``dlenv_agent``, whatever the folder is called, and runs it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any


def _load(module: str) -> Any:
    here = os.path.dirname(os.path.abspath(__file__))
    # Python put this folder on the path; a user's ``import kernel`` must not end here.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = importlib.util.spec_from_file_location(
        "dlenv_agent", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    if spec is None or spec.loader is None:
        raise ImportError(here)
    package = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = package
    spec.loader.exec_module(package)
    return importlib.import_module("dlenv_agent." + module)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--zygote"]:
        _load("zygote").main(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--relay"]:
        sys.exit(_load("relay_stdio").main(sys.argv[2:]))
    elif sys.argv[1:2] == ["--stream"]:
        sys.exit(_load("streams").main(sys.argv[2:]))
    else:
        sys.exit(_load("start").main(sys.argv[1:]))
