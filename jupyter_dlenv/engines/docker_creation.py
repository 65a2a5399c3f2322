"""One Docker container in the making, and one in the going; both take several steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from docker import APIClient
from docker.errors import APIError, NotFound

from ..errors import EngineTimeoutError
from .base import ContainerPlan
from .docker_connection import DockerConnection
from .docker_context import files_archive
from .docker_gpus import NO_GPUS, GpuAnswer, GpuOffer
from .docker_values import create_request

_CONFLICT = 409
_REMOVAL_SECONDS = 30
_LOOK_SECONDS = 0.1


class Creation:
    """Makes what a plan says; ``undo`` removes whatever of it was made."""

    def __init__(self, plan: ContainerPlan, *, nvidia_hook: bool) -> None:
        self._plan = plan
        self._nvidia_hook = nvidia_hook
        #: Whether the engine was asked to make anything.
        self.begun = False
        self._container_id = ""
        self._new_volumes: list[str] = []

    def make(self, client: APIClient) -> str:
        # Docker makes them with the container, and keeps them when it refuses the container.
        names = [volume.name for volume in self._plan.volumes]
        self._new_volumes = [name for name in names if not _volume_exists(client, name)]
        self.begun = True
        request = create_request(self._plan, self._gpus(client))
        made = client.create_container_from_config(request, name=self._plan.name)
        self._container_id = str(made["Id"])
        if self._plan.files:
            client.put_archive(self._container_id, "/", files_archive(self._plan.files))
        return self._container_id

    def _gpus(self, client: APIClient) -> GpuAnswer:
        if not self._plan.gpus:
            return NO_GPUS
        # Asked now: which devices it knows changes with the driver and with MIG.
        offer = GpuOffer.of(client.info(), nvidia_hook=self._nvidia_hook)
        return offer.request(self._plan.gpus)

    def undo(self, client: APIClient) -> None:
        if self._container_id:
            _force_removal(client, self._container_id)
        wanted = {volume.name: volume.labels for volume in self._plan.volumes}
        for name in self._new_volumes:
            remove_volume(client, name, wanted[name])


async def remove_container(connection: DockerConnection, container_id: str) -> None:
    """Kill and remove a container with its nameless volumes, and wait until it is gone.

    Raises:
        EngineTimeoutError: The engine was asked, and is not ready with it.
    """
    end = time.monotonic() + _REMOVAL_SECONDS
    await connection.call(lambda client: _force_removal(client, container_id))
    while await connection.call(lambda client: _exists(client, container_id)):
        if time.monotonic() > end:
            raise EngineTimeoutError("The engine did not remove the container in time.")
        await asyncio.sleep(_LOOK_SECONDS)


def remove_volume(client: APIClient, name: str, labels: Mapping[str, str]) -> None:
    """Remove a volume that carries the labels, unless another container uses it."""
    try:
        carried = client.inspect_volume(name).get("Labels") or {}
        if labels.items() <= carried.items():
            client.remove_volume(name)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != _CONFLICT:
            raise


def named_volumes(client: APIClient, container_id: str) -> list[str]:
    """Return the volumes of a container, of which ``remove_container`` keeps the named ones."""
    mounts = client.inspect_container(container_id)["Mounts"]
    return [mount["Name"] for mount in mounts if mount["Type"] == "volume"]


def _force_removal(client: APIClient, container_id: str) -> None:
    try:
        client.remove_container(container_id, v=True, force=True)
    except NotFound:
        pass
    except APIError as error:
        # Somebody else's removal of it is under way.
        if error.status_code != _CONFLICT:
            raise


def _exists(client: APIClient, container_id: str) -> bool:
    try:
        client.inspect_container(container_id)
    except NotFound:
        return False
    return True


def _volume_exists(client: APIClient, name: str) -> bool:
    try:
        client.inspect_volume(name)
    except NotFound:
        return False
    return True
