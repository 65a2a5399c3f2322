"""The GPUs of an engine's machine where that is not this one: NVIDIA's own program, in a container.

It is a short-lived container of an image that the engine has already.  What ``nvidia-smi``
does not say there, of users and of links in detail, stays unknown.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..engines.base import ContainerPlan, Engine, SupportsImages
from ..errors import DlenvError
from ..labels import LAUNCHER, OWNER, ROLE
from ..launcher import own_identity
from .inventory import DriverState, Gpu, GpuProcess, GpuState, Inventory, Link, MigDevice

_SECONDS = 60.0
_MOST_IMAGES = 3
_MARK = "dlenv-gpus:"
_FIELDS = (
    "index,uuid,name,pci.bus_id,memory.total,memory.used,utilization.gpu,temperature.gpu,"
    "power.draw,power.limit,driver_version,mig.mode.current"
)
_FORMAT = "--format=csv,noheader,nounits"
_SCRIPT = f"; echo {_MARK}; ".join(
    (
        f"nvidia-smi --query-gpu={_FIELDS} {_FORMAT}",
        f"nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory {_FORMAT}",
        "nvidia-smi -L",
        "nvidia-smi topo -m",
    )
)
_MIB = 1024**2
_GPU_LINE = re.compile(r"GPU \d+: .*\(UUID: (GPU-[0-9A-Fa-f-]+)\)")
_MIG_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[0-9A-Fa-f-]+)\)")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


async def read_remote(engine: Engine, *, owner: str, image: str = "") -> Inventory:
    """Return the GPUs of the machine that an engine runs on.

    Args:
        owner: On whose behalf the container is made.
        image: One that the engine has; by default any.
    """
    said = "The engine has no image to look at its GPUs with: launch without GPUs once."
    try:
        for candidate in [image] if image else await _images(engine):
            result = await engine.run(_plan(candidate, owner), timeout=_SECONDS)
            text = result.stdout.decode(errors="replace")
            inventory = read_smi(text)
            if inventory.gpus:
                return inventory
            said = (result.stderr.decode(errors="replace") + text).strip()[:500] or said
    except DlenvError as error:
        said = f"{error} {error.detail}".strip()
    return Inventory(
        driver_state=DriverState.MISSING,
        message=f"The GPUs of the engine's machine cannot be seen: {said}",
        taken=time.time(),
    )


def read_smi(text: str) -> Inventory:
    """Read what the script prints; what cannot be read is left out."""
    table, apps, listing, topology = [*_ANSI.sub("", text).split(_MARK), "", "", "", ""][:4]
    rows = [row for row in _rows(table) if len(row) == len(_FIELDS.split(","))]
    users: dict[str, list[GpuProcess]] = {}
    for row in _rows(apps):
        if len(row) == 3 and row[1].isdigit():
            process = GpuProcess(pid=int(row[1]), memory=_bytes(row[2]))
            users.setdefault(row[0], []).append(process)
    migs = _mig_devices(listing)
    gpus = [_gpu(row, migs, users) for row in rows if row[0].isdigit()]
    return Inventory(
        driver_version=next((row[10] for row in rows), ""),
        gpus=tuple(gpus),
        links=dict(_links(topology)),
        taken=time.time(),
    )


def _plan(image: str, owner: str) -> ContainerPlan:
    return ContainerPlan(
        name=f"dlenv.gpu-probe.{secrets.token_hex(5)}",
        image=image,
        command=("/bin/sh", "-c", _SCRIPT),
        entrypoint=(),
        labels={ROLE: "probe", OWNER: owner, LAUNCHER: own_identity()},
        env={"NVIDIA_DRIVER_CAPABILITIES": "utility"},
        user="0:0",
        gpus=("all",),
        network=False,
    )


async def _images(engine: Engine) -> list[str]:
    if not isinstance(engine, SupportsImages):
        return []
    found = await engine.list_images()
    # NVIDIA's own are sure to have what its program needs.
    first = sorted(found, key=lambda i: not any("nvidia" in key for key in (*i.tags, *i.labels)))
    return [image.id for image in first[:_MOST_IMAGES]]


def _gpu(
    row: list[str], migs: dict[str, list[MigDevice]], users: dict[str, list[GpuProcess]]
) -> Gpu:
    index, uuid, name, bus, total, used, load, heat, power, limit, _, mig_mode = row
    # Of a GPU that has fallen off the bus, all that is left are errors in brackets.
    healthy = uuid.startswith("GPU-") and total.isdigit()
    return Gpu(
        index=int(index),
        uuid=uuid if uuid.startswith("GPU-") else "",
        name=name,
        state=GpuState.OK if healthy else GpuState.ERROR,
        error="" if healthy else f"{uuid} {total}".strip(),
        memory_total=_bytes(total) or 0,
        memory_used=_bytes(used) or 0,
        utilization=int(load) if load.isdigit() else None,
        temperature=int(heat) if heat.isdigit() else None,
        power=_number(power),
        power_limit=_number(limit),
        pci_bus_id=bus,
        mig_enabled=mig_mode == "Enabled",
        mig_devices=tuple(
            replace(mig, processes=tuple(users.get(mig.uuid, ()))) for mig in migs.get(uuid, ())
        ),
        processes=tuple(users.get(uuid, ())),
    )


def _mig_devices(listing: str) -> dict[str, list[MigDevice]]:
    """Return the MIG devices of ``nvidia-smi -L``, by the GPU above them."""
    found: dict[str, list[MigDevice]] = {}
    gpu = ""
    for line in listing.splitlines():
        if match := _GPU_LINE.match(line):
            gpu = match[1]
        elif match := _MIG_LINE.match(line):
            device = MigDevice(uuid=match[3], index=int(match[2]), name=f"MIG {match[1]}")
            found.setdefault(gpu, []).append(device)
    return found


def _links(topology: str) -> Iterator[tuple[tuple[int, int], Link]]:
    """Yield the links of the matrix of ``nvidia-smi topo -m``."""
    lines = [line.split() for line in topology.splitlines() if line.strip()]
    columns = lines[0] if lines else []
    for words in lines[1:]:
        if not re.match(r"GPU\d+\Z", words[0]):
            continue
        for column, word in zip(columns, words[1:], strict=False):
            a, b = words[0][3:], column[3:]
            if column.startswith("GPU") and int(a) < int(b):
                yield (int(a), int(b)), _link(word)


def _link(word: str) -> Link:
    if word.startswith("NV"):
        return Link.NVLINK
    return next((link for link in Link if link.value == word), Link.SYSTEM)


def _rows(text: str) -> Iterable[list[str]]:
    return ([cell.strip() for cell in line.split(",")] for line in text.splitlines())


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MIB if mebibytes.isdigit() else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
