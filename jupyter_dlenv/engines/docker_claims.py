"""A look at all containers of a Docker engine, for what each may do with GPUs, and at its clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from docker import APIClient
from docker.errors import NotFound

from ..errors import EngineError
from ..labels import PREFIX
from .docker_gpus import devices_of
from .docker_values import container_state
from .gpu_claims import GpuClaim

_USING = frozenset({"running", "restarting", "paused"})
_STATES = (*sorted(_USING), "created")


def gpu_claims(client: APIClient) -> tuple[GpuClaim, ...]:
    """Return what containers that run may use, and those of ours that were not started yet."""
    entries = client.containers(all=True, filters={"status": [*_STATES]})
    ids = [
        entry["Id"]
        for entry in entries
        if entry["State"] in _USING or any(key.startswith(PREFIX) for key in entry["Labels"] or ())
    ]
    return tuple(_claims(client, ids))


def clock(client: APIClient) -> datetime:
    """Return the engine's time, to the second."""
    # Of every answer of its web server; asking for /info takes ten times as long.
    said = client.get(f"{client.base_url}/_ping", timeout=client.timeout).headers.get("Date", "")
    try:
        return parsedate_to_datetime(said).astimezone(timezone.utc)
    except (TypeError, ValueError) as error:
        raise EngineError("The engine does not say what time it is.", detail=said) from error


def _claims(client: APIClient, ids: list[str]) -> Iterator[GpuClaim]:
    for container_id in ids:
        try:
            info = client.inspect_container(container_id)
        except NotFound:
            continue
        devices, minors, everything = devices_of(info)
        yield GpuClaim(
            state=container_state(info), devices=devices, minors=minors, everything=everything
        )
