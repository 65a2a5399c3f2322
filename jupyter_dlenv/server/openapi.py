"""The description of the REST API, completed with what the code knows better."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

from .. import __version__
from .failures import codes

#: The one in C is ten times as fast; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def description(url: str) -> dict[str, Any]:
    """Return the OpenAPI document; reads and parses a file.

    Args:
        url: Where the API is, below the server's base URL.
    """
    text = resources.files(__package__).joinpath("schemas/openapi.yaml").read_text("utf-8")
    document: dict[str, Any] = yaml.load(text, _LOADER)  # noqa: S506 - both are safe loaders
    document["info"]["version"] = __version__
    document["servers"] = [{"url": url}]
    statuses = codes()
    details = document["components"]["schemas"]["ErrorDetails"]
    details["properties"]["code"]["enum"] = list(statuses)
    document["info"]["description"] += _table(statuses)
    return document


def _table(statuses: dict[str, int]) -> str:
    rows = "".join(f"| `{code}` | {status} |\n" for code, status in statuses.items())
    return f"\n| code | status |\n| --- | --- |\n{rows}"
