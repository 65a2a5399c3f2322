"""What runs environments: the protocol, and the way from a name to an engine."""

from __future__ import annotations

from pathlib import Path

from ..errors import UnknownEngineError
from ..secrecy import without_password
from .base import Engine
from .docker import DockerEngine
from .docker_endpoint import SCHEMES, DockerEndpoint
from .process import ProcessEngine

__all__ = ["docker_elsewhere", "open_engine"]


def open_engine(name_or_url: str, *, data_dir: Path, name: str = "") -> Engine:
    """Return the engine of a name or an address; it is not connected to yet.

    Args:
        name_or_url: ``docker`` (whatever the ``docker`` command would use), ``process``,
            or an address such as ``unix:///var/run/docker.sock``.
        data_dir: Where the process engine keeps its processes.
        name: Under which the user knows it, if that is another one.

    Raises:
        UnknownEngineError: It is none of these.
    """
    if name_or_url == "docker":
        return DockerEngine(DockerEndpoint.find(), name=name or "docker")
    if name_or_url == "process":
        return ProcessEngine(data_dir / "process", name=name or "process")
    if name_or_url.partition("://")[0] in SCHEMES:
        endpoint = DockerEndpoint.from_url(name_or_url)
        return DockerEngine(endpoint, name=name or name_or_url, address=name_or_url)
    raise UnknownEngineError(f"There is no engine {without_password(name_or_url)!r}.")


def docker_elsewhere() -> str:
    """Return the address of the machine that the ``docker`` command would use, if it is another.

    Reads Docker's files.
    """
    try:
        endpoint = DockerEndpoint.chosen()
    except UnknownEngineError:
        # Whoever uses it will be told.
        return ""
    return "" if endpoint is None or endpoint.url.startswith("unix:") else endpoint.url
