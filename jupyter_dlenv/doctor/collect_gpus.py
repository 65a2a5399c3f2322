"""Facts of this machine's NVIDIA driver and of its container toolkit."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from ..gpus.inventory import Gpu, Inventory
from .facts import DriverReport, GpuReport, ToolkitReport
from .patience import in_thread

_PROGRAM_SECONDS = 5
_PROGRAMS = (
    "nvidia-ctk",
    "nvidia-container-runtime-hook",
    "nvidia-container-runtime",
    "nvidia-container-cli",
    "nvidia-cdi-hook",
)
_HOOK = "nvidia-container-runtime-hook"
_MODULE = Path("/proc/driver/nvidia/version")
_TOOLKIT_CONFIG = Path("/etc/nvidia-container-runtime/config.toml")


async def driver_report() -> DriverReport:
    """Look at the GPUs once."""
    # Imported here: who asks for help must not wait for it.
    from ..gpus.look import look  # noqa: PLC0415

    return replace(as_report(await look()), module=await in_thread(_module_version))


def as_report(inventory: Inventory) -> DriverReport:
    """Return what a doctor wants to know of an inventory."""
    return DriverReport(
        state=inventory.driver_state.value,
        message=inventory.message,
        version=inventory.driver_version,
        cuda=".".join(map(str, inventory.cuda_version or ())),
        gpus=tuple(map(_gpu, inventory.gpus)),
    )


async def compute_modes() -> dict[int, str]:
    """Return the compute mode of each GPU, by index; nothing where there is no nvidia-smi."""
    return await in_thread(_compute_modes)


def with_modes(report: DriverReport, modes: dict[int, str]) -> DriverReport:
    """Return the report with the compute modes in it."""
    gpus = (replace(g, compute_mode=modes.get(g.index, "")) for g in report.gpus)
    return replace(report, gpus=tuple(gpus))


async def toolkit_report() -> ToolkitReport:
    """Look for NVIDIA's container toolkit."""
    return await in_thread(_toolkit)


def _gpu(gpu: Gpu) -> GpuReport:
    return GpuReport(
        index=gpu.index,
        uuid=gpu.uuid,
        name=gpu.name,
        state=gpu.state.value,
        error=gpu.error,
        compute_capability=".".join(map(str, gpu.compute_capability or ())),
        memory_used=gpu.memory_used,
        processes=len(gpu.processes),
        mig_enabled=gpu.mig_enabled,
    )


def _module_version() -> str:
    match = re.search(r"Kernel Module(?: for \S+)?\s+([0-9][0-9.]*)", _text_of(_MODULE))
    return match[1] if match else ""


def _compute_modes() -> dict[int, str]:
    said = _said("nvidia-smi", "--query-gpu=index,compute_mode", "--format=csv,noheader")
    lines = re.findall(r"^\s*(\d+)\s*,\s*(\w+)\s*$", said, re.MULTILINE)
    return {int(index): mode for index, mode in lines}


def _toolkit() -> ToolkitReport:
    found = {name: path for name in _PROGRAMS if (path := shutil.which(name))}
    version = re.search(r"version\s+v?(\d[\w.-]*)", _said("nvidia-ctk", "--version"))
    setting = re.search(
        r"^\s*no-cgroups\s*=\s*(true|false)", _text_of(_TOOLKIT_CONFIG), re.MULTILINE
    )
    return ToolkitReport(
        version=version[1] if version else "",
        programs=tuple(found),
        installed=Path(found[_HOOK]).stat().st_ctime if _HOOK in found else None,
        no_cgroups=setting[1] == "true" if setting else None,
    )


def _said(program: str, *arguments: str) -> str:
    """Return what a program printed, or nothing if it cannot be run."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        return subprocess.run(
            [path, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PROGRAM_SECONDS,
            check=False,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
