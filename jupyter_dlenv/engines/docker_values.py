"""Plans as the Docker API wants them, and what the API says as our values.

Everything here is a pure function, so that the whole of what is asked of Docker can be
read, and tested, in one place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..models import PortMapping
from .base import ContainerPlan, ContainerState, EngineFacts, ImageFacts
from .docker_gpus import NO_GPUS, GpuAnswer, GpuOffer
from .docker_granted import granted

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)\Z", re.ASCII
)
_STATES = {
    "created": "created",
    "running": "running",
    # A paused one holds its GPUs and its name; a restarting one is between two lives.
    "paused": "running",
    "restarting": "running",
}


def create_request(plan: ContainerPlan, gpus: GpuAnswer = NO_GPUS) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``.

    Args:
        gpus: How this engine gives the plan's GPUs.
    """
    host: dict[str, Any] = {
        # Reaps what the agent's kernels leave behind, and passes signals on to the agent.
        "Init": True,
        "Mounts": [*_bind_mounts(plan), *_volume_mounts(plan), *_memory_mounts(plan)],
        "PortBindings": _port_bindings(plan),
        "Ulimits": [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in plan.ulimits],
        "DeviceRequests": gpus.device_requests,
        # A crash must be seen, and a reboot must not take GPUs that nobody asked for.
        "RestartPolicy": {"Name": "no"},
    }
    if gpus.runtime:
        host["Runtime"] = gpus.runtime
    if plan.shm_size:
        host["ShmSize"] = plan.shm_size
    if not plan.network:
        host["NetworkMode"] = "none"
    body: dict[str, Any] = {
        "Image": plan.image,
        "Env": [f"{key}={value}" for key, value in {**plan.env, **gpus.env}.items()],
        "Labels": dict(plan.labels),
        "ExposedPorts": {f"{p.container_port}/tcp": {} for p in plan.ports},
        "User": plan.user,
        "WorkingDir": plan.workdir,
        "Hostname": plan.hostname,
        "HostConfig": host,
    }
    if plan.command:
        body["Cmd"] = list(plan.command)
    if plan.entrypoint is not None:
        # An empty list would leave the image's entrypoint; one empty string removes it.
        body["Entrypoint"] = list(plan.entrypoint) or [""]
    return body


def container_state(info: Mapping[str, Any]) -> ContainerState:
    """Read the answer of ``GET /containers/ID/json``."""
    state = info["State"]
    word = _STATES.get(state["Status"], "exited")
    return ContainerState(
        id=info["Id"],
        name=info["Name"].lstrip("/"),
        state=word,
        labels=info["Config"].get("Labels") or {},
        image_id=info["Image"],
        ports=_ports(info["NetworkSettings"].get("Ports") or {}),
        granted=granted(info.get("HostConfig") or {}),
        created=moment(info["Created"]),
        started=moment(state.get("StartedAt", "")),
        exit_code=int(state["ExitCode"]) if word == "exited" else None,
        out_of_memory=bool(state.get("OOMKilled")),
        error=state.get("Error", ""),
    )


def asked_ports(info: Mapping[str, Any]) -> set[int]:
    """Return the host ports that a container was created with, of ``GET /containers/ID/json``.

    0 stands for any.
    """
    asked = (info.get("HostConfig") or {}).get("PortBindings") or {}
    return {int(b.get("HostPort") or 0) for bindings in asked.values() for b in bindings or ()}


def image_facts(info: Mapping[str, Any]) -> ImageFacts:
    """Read the answer of ``GET /images/NAME/json``."""
    config = info.get("Config") or {}
    return ImageFacts(
        id=info["Id"],
        tags=tuple(info.get("RepoTags") or ()),
        digests=tuple(info.get("RepoDigests") or ()),
        size=int(info.get("Size", 0)),
        created=moment(info.get("Created") or ""),
        architecture=info.get("Architecture", ""),
        env=dict(entry.partition("=")[::2] for entry in config.get("Env") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
        workdir=config.get("WorkingDir") or "",
        labels=config.get("Labels") or {},
    )


def commit_request(
    container: Mapping[str, Any], *, like: ImageFacts, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body of ``POST /commit``.

    Docker adds to it whatever the container has and it has not, so all of that is named.

    Args:
        container: The configuration of the container.
    """
    told = {entry.partition("=")[0] for entry in container.get("Env") or ()}
    return {
        # A name without a value unsets a variable.
        "Env": [*(f"{k}={v}" for k, v in like.env.items()), *sorted(told - set(like.env))],
        "Labels": {**dict.fromkeys(container.get("Labels") or (), ""), **labels},
        "Entrypoint": list(like.entrypoint),
        # With neither of the two, Docker would take the container's command.
        "Cmd": list(like.command) or ([] if like.entrypoint else ["/bin/sh"]),
        "User": like.user,
        "WorkingDir": like.workdir,
    }


def listed_image_facts(entry: Mapping[str, Any]) -> ImageFacts:
    """Read one entry of ``GET /images/json``, which knows less."""
    created = datetime.fromtimestamp(int(entry.get("Created", 0)), timezone.utc)
    return ImageFacts(
        id=entry["Id"],
        tags=tuple(entry.get("RepoTags") or ()),
        digests=tuple(entry.get("RepoDigests") or ()),
        size=int(entry.get("Size", 0)),
        created=created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        labels=entry.get("Labels") or {},
    )


def engine_facts(
    info: Mapping[str, Any], *, api_version: str, local: bool, nvidia_hook: bool
) -> EngineFacts:
    """Read the answer of ``GET /info``.

    Args:
        local: The engine may run on this machine, as far as its address tells.
        nvidia_hook: NVIDIA's hook is on this machine.
    """
    system = info.get("OperatingSystem", "")
    local = local and "docker desktop" not in system.lower()
    return EngineFacts(
        id=info["ID"],
        kind="docker",
        version=info.get("ServerVersion", ""),
        api_version=api_version,
        os=system,
        architecture=info.get("Architecture", ""),
        rootless="name=rootless" in (info.get("SecurityOptions") or ()),
        local=local,
        gpu_runtime=GpuOffer.of(info, nvidia_hook=local and nvidia_hook).kind,
        data_root=info.get("DockerRootDir", ""),
        cpus=int(info.get("NCPU", 0)),
        memory=int(info.get("MemTotal", 0)),
    )


def moment(text: str) -> str:
    """Return an API time as ISO 8601 in UTC, or nothing for Docker's "never".

    Docker writes 0 to 9 decimals, of which Python 3.10 reads only 0, 3 and 6.
    """
    match = _MOMENT.match(text)
    if match is None or text.startswith("0001-"):
        return ""
    offset = match[3].replace("Z", "+00:00")
    parsed = datetime.fromisoformat(f"{match[1]}.{(match[2] or '').ljust(6, '0')}{offset}")
    return parsed.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _bind_mounts(plan: ContainerPlan) -> list[dict[str, Any]]:
    # Unlike ``docker run -v``, this does not make a missing source, owned by root.
    return [
        {"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": m.read_only}
        for m in plan.mounts
    ]


def _volume_mounts(plan: ContainerPlan) -> list[dict[str, Any]]:
    return [
        {
            "Type": "volume",
            "Source": volume.name,
            "Target": volume.target,
            "VolumeOptions": {"Labels": dict(volume.labels)},
        }
        for volume in plan.volumes
    ]


def _memory_mounts(plan: ContainerPlan) -> list[dict[str, Any]]:
    options = {"Mode": 0o1777}
    return [{"Type": "tmpfs", "Target": t, "TmpfsOptions": options} for t in plan.in_memory]


def _port_bindings(plan: ContainerPlan) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in plan.ports:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}
        bindings.setdefault(f"{port.container_port}/tcp", []).append(binding)
    return bindings


def _ports(ports: Mapping[str, list[dict[str, str]] | None]) -> tuple[PortMapping, ...]:
    return tuple(
        PortMapping(
            container_port=int(key.partition("/")[0]),
            host_port=int(binding["HostPort"]),
            host_ip=binding["HostIp"] or "0.0.0.0",  # noqa: S104 - read, not bound
        )
        for key, bindings in ports.items()
        # An exposed port that is not published has ``None`` for its bindings.
        for binding in bindings or ()
        if key.endswith("/tcp") and binding.get("HostPort") and ":" not in binding["HostIp"]
    )
