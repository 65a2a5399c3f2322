"""How GPUs are asked of a Docker engine, by UUID, and what containers have asked for.

Never by count: to every version of Docker, two GPUs are the first two, whoever has them.

==============  =======================================================================
engine          what it can
==============  =======================================================================
20.10 to 24     the driver ``nvidia``, if NVIDIA's hook was on dockerd's PATH at its start;
                the runtime ``nvidia``, if that was configured
25 to 28.1      that, and CDI if the feature is on; it does not say which devices it knows
28.2 and newer  that, and CDI; it says which devices it knows
==============  =======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_KIND = "nvidia.com/gpu="
_VISIBLE = "NVIDIA_VISIBLE_DEVICES"
_NOTHING = frozenset({"", "void", "none"})
_NODE = re.compile(r"/dev/nvidia([0-9]{1,4})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuAnswer:
    """What ``POST /containers/create`` is told of GPUs."""

    device_requests: list[dict[str, Any]] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)
    runtime: str = ""


#: NGC images say NVIDIA_VISIBLE_DEVICES=all, and a host whose default runtime is NVIDIA's
#: obeys them unless somebody says otherwise.
NO_GPUS = GpuAnswer(env={_VISIBLE: "void"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOffer:
    """The ways in which an engine can give GPUs.

    Attributes:
        names: CDI devices that it knows, without their kind.
        cdi: It knows CDI at all.
        hook: NVIDIA's hook is there, so that the engine has the driver ``nvidia``.
        runtime: It has the runtime ``nvidia``.
    """

    names: frozenset[str] = frozenset()
    cdi: bool = False
    hook: bool = False
    runtime: bool = False

    @classmethod
    def of(cls, info: Mapping[str, Any], *, nvidia_hook: bool) -> GpuOffer:
        """Read the answer of ``GET /info``.

        Args:
            nvidia_hook: NVIDIA's hook is on the engine's machine, as far as that can be seen.
        """
        found = [str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ()]
        return cls(
            names=frozenset(name[len(_KIND) :] for name in found if name.startswith(_KIND)),
            cdi=bool(info.get("CDISpecDirs")),
            hook=nvidia_hook,
            runtime="nvidia" in (info.get("Runtimes") or {}),
        )

    @property
    def kind(self) -> str:
        """Return how GPUs are asked for: ``cdi``, ``nvidia``, ``runtime``, or not at all."""
        if self.names:
            return "cdi"
        if self.hook:
            return "nvidia"
        return "runtime" if self.runtime else ""

    def request(self, gpus: tuple[str, ...]) -> GpuAnswer:
        """Return how the engine is asked for these GPUs."""
        if not gpus:
            return NO_GPUS
        if self.names.issuperset(gpus):
            return _by_cdi(gpus)
        if self.hook:
            return _by_driver(gpus)
        if self.runtime:
            return GpuAnswer(runtime="nvidia", env={_VISIBLE: ",".join(gpus)})
        # Before 28.2 an engine does not say which devices it knows.
        return _by_cdi(gpus) if self.cdi else _by_driver(gpus)


def devices_of(info: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[int, ...], bool]:
    """Read the answer of ``GET /containers/ID/json``.

    Returns:
        Indices and UUIDs of GPUs, numbers of their device nodes, and whether it sees them all.
    """
    host = info["HostConfig"]
    names = [name for request in host.get("DeviceRequests") or () for name in _asked(request)]
    if host.get("Runtime") == "nvidia":
        env = dict(entry.partition("=")[::2] for entry in info["Config"].get("Env") or ())
        names += env.get(_VISIBLE, "").split(",")
    nodes = [_NODE.match(str(d.get("PathOnHost"))) for d in host.get("Devices") or ()]
    plain = [name.strip().rpartition("=")[2] for name in names]
    return (
        tuple(dict.fromkeys(n for n in plain if n != "all" and n not in _NOTHING)),
        tuple(int(node[1]) for node in nodes if node),
        "all" in plain or bool(host.get("Privileged")),
    )


def _by_cdi(gpus: tuple[str, ...]) -> GpuAnswer:
    request = {"Driver": "cdi", "DeviceIDs": [f"{_KIND}{name}" for name in gpus]}
    # NVIDIA's runtime, if it is the default one, would add what the image asks for.
    return GpuAnswer(device_requests=[request], env=NO_GPUS.env)


def _by_driver(gpus: tuple[str, ...]) -> GpuAnswer:
    # All in one: of several requests the last wins.  More capabilities than this one would
    # replace those that the image asks for.
    request = {"Driver": "nvidia", "DeviceIDs": list(gpus), "Capabilities": [["gpu"]]}
    # The engine appends the variable; a program that reads the first of two reads the same.
    return GpuAnswer(device_requests=[request], env={_VISIBLE: ",".join(gpus)})


def _asked(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the GPUs of one device request; those of other makers are none."""
    ids = request.get("DeviceIDs") or ()
    if request.get("Driver") == "cdi":
        yield from (str(name) for name in ids if str(name).startswith(_KIND))
        return
    words = {word for group in request.get("Capabilities") or () for word in group}
    if request.get("Driver") not in ("", None, "nvidia") or not words & {"gpu", "nvidia"}:
        return
    yield from map(str, ids)
    count = int(request.get("Count") or 0)
    if count < 0:
        yield "all"
    yield from map(str, range(count))
