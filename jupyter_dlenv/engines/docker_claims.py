"""A look at all containers of a Docker engine, for what each may do with GPUs, and at its clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from docker import APIClient
from docker.errors import NotFound

from ..errors import EngineError
from ..labels import ROLE
from .base import ContainerState
from .docker_gpus import devices_of
from .docker_values import container_state
from .gpu_claims import GpuClaim

_USING = frozenset({"running", "restarting", "paused"})
_STATES = (*sorted(_USING), "created")


def gpu_claims(client: APIClient) -> tuple[GpuClaim, ...]:
    """Return what containers that run may use, and those of ours that were not started yet."""
    entries = client.containers(all=True, filters={"status": [*_STATES]})
    return tuple(claim for entry in entries for claim in _claim(client, entry))


def clock(client: APIClient) -> datetime:
    """Return the engine's time, to the second."""
    # Of every answer of its web server; asking for /info takes ten times as long.
    said = client.get(f"{client.base_url}/_ping", timeout=client.timeout).headers.get("Date", "")
    try:
        return parsedate_to_datetime(said).astimezone(timezone.utc)
    except (TypeError, ValueError) as error:
        raise EngineError("The engine does not say what time it is.", detail=said) from error


def _claim(client: APIClient, entry: Mapping[str, Any]) -> Iterator[GpuClaim]:
    using, ours = entry["State"] in _USING, ROLE in (entry.get("Labels") or {})
    if using and ours:
        # Its labels say all.  What it was when all were listed at once counts: while we look
        # at one after the other, GPUs may pass from one container of ours to another.
        yield _listed(entry)
    elif using or ours:
        try:
            info = client.inspect_container(entry["Id"])
        except NotFound:
            if ours:
                yield _listed(entry)
            return
        devices, minors, everything = devices_of(info)
        yield GpuClaim(
            state=container_state(info), devices=devices, minors=minors, everything=everything
        )


def _listed(entry: Mapping[str, Any]) -> GpuClaim:
    name = (entry.get("Names") or [""])[0].lstrip("/")
    return GpuClaim(
        state=ContainerState(
            id=entry["Id"], name=name, state="running", labels=entry.get("Labels") or {}
        )
    )
