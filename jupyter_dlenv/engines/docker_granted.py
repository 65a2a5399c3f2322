"""What Docker was told when a container was made: the host's paths and ports, and its powers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..granted import Granted

_NAMESPACES = ("PidMode", "IpcMode", "NetworkMode", "UTSMode", "UsernsMode")


def granted(host: Mapping[str, Any]) -> Granted:
    """Read the ``HostConfig`` of a container."""
    return Granted(
        mounts=tuple(_mounts(host)), bindings=tuple(_bindings(host)), powers=tuple(_powers(host))
    )


def _mounts(host: Mapping[str, Any]) -> Iterator[str]:
    for mount in host.get("Mounts") or ():
        if mount["Type"] == "bind":
            yield mount["Source"]
    for bind in host.get("Binds") or ():
        source = bind.partition(":")[0]
        # Otherwise it is the name of a volume.
        if source.startswith("/"):
            yield source


def _bindings(host: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for bindings in (host.get("PortBindings") or {}).values():
        for binding in bindings or ():
            port = binding.get("HostPort") or "0"
            # A range such as 7000-7010 begins with its lowest.
            yield binding.get("HostIp") or "0.0.0.0", int(port.partition("-")[0])  # noqa: S104


def _powers(host: Mapping[str, Any]) -> Iterator[str]:
    if host.get("Privileged"):
        yield "--privileged"
    if host.get("PublishAllPorts"):
        yield "--publish-all"
    for capability in host.get("CapAdd") or ():
        yield f"--cap-add {capability}"
    for device in host.get("Devices") or ():
        yield f"--device {device['PathOnHost']}"
    for container in host.get("VolumesFrom") or ():
        yield f"--volumes-from {container}"
    for option in host.get("SecurityOpt") or ():
        if option.endswith("unconfined"):
            yield f"--security-opt {option}"
    for namespace in _NAMESPACES:
        mode = str(host.get(namespace) or "")
        if mode == "host" or mode.startswith("container:"):
            yield f"--{namespace.removesuffix('Mode').lower()} {mode}"
