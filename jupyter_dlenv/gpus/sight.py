"""What GPUs a container really sees, from inside, and whether they are those of its lease."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from ..engines.base import Engine
from ..errors import DlenvError, EngineError, GpuLostError, GpuMismatchError
from ..models import Environment, Status

_LOOK_SECONDS = 10.0
_LONGEST_LOOK = 16 * 1024
_MARK = "dlenv-gpus:"
_NOTHING = frozenset({"", "void", "none"})
#: Device nodes of GPUs (of WSL, the one for all), what NVIDIA's own program says, and what the
#: first process was told.
_SCRIPT = (
    'for f in /dev/nvidia[0-9]* /dev/dxg; do [ -e "$f" ] && echo "$f"; done; '
    f"echo {_MARK}; nvidia-smi -L 2>&1; echo {_MARK}; "
    r"tr '\000' '\n' </proc/1/environ 2>/dev/null | grep ^NVIDIA_VISIBLE_DEVICES="
)
_UUID = re.compile(r"\(UUID: ((?:GPU|MIG)-[0-9A-Fa-f-]+)\)")
_FAILED = re.compile(r"NVML|NVIDIA-SMI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a container sees.

    Attributes:
        nodes: Device nodes of GPUs.
        uuids: GPUs and MIG devices by NVIDIA's own program; empty also where it is missing.
        failure: What that program says if it fails, or empty.
        told: GPUs that NVIDIA_VISIBLE_DEVICES names; empty where it is told nothing.
    """

    nodes: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    failure: str = ""
    told: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Sight | None:
        """Read what the script printed; ``None`` if it was not run to its end."""
        parts = text.split(_MARK)
        if len(parts) != 3:
            return None
        nodes, smi, variables = parts
        uuids = tuple(_UUID.findall(smi))
        # Of two variables of a name, programs take one or the other: they must agree.
        told = {line.partition("=")[2].strip() for line in variables.split()}
        return cls(
            # A shell may have something else to say first.
            nodes=tuple(word for word in nodes.split() if word.startswith("/dev/")),
            uuids=uuids,
            failure=smi.strip() if not uuids and _FAILED.search(smi) else "",
            told=tuple(n for value in sorted(told - _NOTHING) for n in value.split(",")),
        )


async def look_inside(engine: Engine, container_id: str) -> Sight | None:
    """Look from inside a running container; ``None`` where that cannot be done."""
    try:
        return Sight.read(await asyncio.wait_for(_run(engine, container_id), _LOOK_SECONDS))
    except (DlenvError, asyncio.TimeoutError):
        return None


async def gpu_trouble(engine: Engine, environment: Environment) -> EngineError | None:
    """Return what is wrong with the GPUs that a running environment sees, if anything is.

    They can be lost while it runs: systemd takes the right to them away when it reloads.
    """
    if not environment.gpu_uuids or environment.status is not Status.RUNNING:
        return None
    sight = await look_inside(engine, environment.container_id)
    return None if sight is None else trouble(environment.name, environment.gpu_uuids, sight)


def trouble(name: str, leased: tuple[str, ...], sight: Sight) -> EngineError | None:
    """Return what is wrong with the GPUs that an environment sees, if anything is.

    Args:
        name: Of the environment.
        leased: The GPUs and MIG devices that it was given.
    """
    if leased and sight.failure:
        return GpuLostError(
            f"The environment {name!r} cannot use its GPUs any more.",
            hint=f"Re-create it, its home and mounts stay: `jupyter dlenv recreate {name}`.",
            detail=sight.failure,
        )
    seen, given = _seen(leased, sight), set(leased)
    if seen is None or seen == given:
        return None
    differences = [
        f"{what} {', '.join(sorted(uuids))}"
        for what, uuids in (("It sees also", seen - given), ("It does not see", given - seen))
        if uuids
    ]
    return GpuMismatchError(
        f"The environment {name!r} sees other GPUs than it was given.",
        detail="\n".join(differences),
    )


def _seen(leased: tuple[str, ...], sight: Sight) -> set[str] | None:
    """Return what it sees, as far as that can be told from a lease; ``None`` if it cannot."""
    if sight.uuids:
        parts = {uuid for uuid in sight.uuids if uuid.startswith("MIG-")}
        # A GPU in MIG mode is listed with its parts, and is none of them.
        in_parts = bool(parts) and any(uuid.startswith("MIG-") for uuid in leased)
        return parts if in_parts else set(sight.uuids) - parts
    if not leased:
        return set(sight.nodes)
    if all(name.startswith(("GPU-", "MIG-")) for name in sight.told) and sight.told:
        return set(sight.told)
    return None


async def _run(engine: Engine, container_id: str) -> str:
    # As root: the first process, and what it was told, may be another user's.
    stream = await engine.open_stream(container_id, ("/bin/sh", "-c", _SCRIPT), user="0:0")
    try:
        await stream.close_stdin()
        text = bytearray()
        while (frame := await stream.read())[0] and len(text) < _LONGEST_LOOK:
            text += frame[1]
        return text.decode(errors="replace")
    finally:
        await stream.aclose()
