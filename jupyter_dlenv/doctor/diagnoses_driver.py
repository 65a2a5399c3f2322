"""Diagnoses of the NVIDIA driver and of the GPUs of this machine."""

from __future__ import annotations

from dataclasses import replace

from .diagnosis import Diagnosis, listed, says
from .facts import Facts, GpuReport
from .finding import Finding, Section, Severity

_MIB = 1024**2
#: What a driver keeps on an idle GPU, with some room; the inventory's figure has none of it.
_IDLE_MEMORY = 300 * _MIB

G01 = Finding(
    id="G01",
    section=Section.GPUS,
    severity=Severity.INFO,
    title="There is no NVIDIA driver on this machine.",
    cause="The machine has no NVIDIA GPU, its driver is not installed, or Jupyter runs in a "
    "container that was not given the driver's library.",
    fix="If the machine has GPUs, install the driver; in a container, "
    "set NVIDIA_DRIVER_CAPABILITIES=compute,utility.",
)
G02 = Finding(
    id="G02",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The NVIDIA driver is installed, but its kernel module is not loaded.",
    cause="The module was not built for the kernel that runs now, or Secure Boot refuses it.",
    fix="Try `sudo modprobe nvidia`; if that fails, rebuild the module (`sudo dkms autoinstall`) "
    "and see `mokutil --sb-state`.",
)
G03 = Finding(
    id="G03",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The NVIDIA driver was upgraded while the old one is still loaded.",
    cause="The library and the kernel module have different versions.",
    fix="Reboot the machine, or unload the old modules and restart this program.",
)
G04 = Finding(
    id="G04",
    section=Section.GPUS,
    severity=Severity.WARNING,
    title="A GPU does not answer any more.",
    cause="It has fallen off the bus (see Xid messages in `sudo dmesg`); the others can be used.",
    fix="Reset it (`sudo nvidia-smi --gpu-reset`) or reboot; if it stays so, have it checked.",
)
G12 = Finding(
    id="G12",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="NVIDIA's hook cannot look at the GPUs.",
    cause="One GPU is broken, or the NVIDIA Container Toolkit is damaged.",
    fix="Leave the broken GPU out by choosing others (`jupyter dlenv gpus` shows it), "
    "or reinstall the toolkit.",
)
G26 = Finding(
    id="G26",
    section=Section.GPUS,
    severity=Severity.WARNING,
    title="A GPU's memory is in use by nobody that can be seen.",
    cause="The process is in another PID namespace, or has died and left its memory.",
    fix="Look as root: `sudo fuser -v /dev/nvidia*`.",
)
G27 = Finding(
    id="G27",
    section=Section.GPUS,
    severity=Severity.INFO,
    title="A GPU takes one process at a time only, or none.",
    cause="The administrator has set its compute mode.",
    fix="Run one kernel per GPU, or set it back: `sudo nvidia-smi --compute-mode=DEFAULT`.",
)
G30 = Finding(
    id="G30",
    section=Section.GPUS,
    severity=Severity.WARNING,
    title="The NVIDIA driver and the Python library that reads it do not fit together.",
    cause="The driver is older than the functions that are asked of it, "
    "or an old copy of pynvml is in the way.",
    fix="Upgrade the driver, and run `pip uninstall pynvml` and "
    "`pip install --force-reinstall nvidia-ml-py`.",
)
GPUS_OK = Finding(
    id="gpus",
    section=Section.GPUS,
    severity=Severity.OK,
    title="The NVIDIA driver and its GPUs answer.",
)


def _driver_missing(facts: Facts) -> Finding | None:
    if facts.driver.state != "missing":
        return None
    if facts.engine.answers and not facts.engine.local:
        cause = "The engine is on another machine, so it does not matter here."
        return replace(G01, cause=cause, fix="")
    return G01


def _module_not_loaded(facts: Facts) -> Finding | None:
    return G02 if facts.driver.state == "not-loaded" else None


def _driver_mismatch(facts: Facts) -> Finding | None:
    driver = facts.driver
    if driver.state == "mismatch":
        loaded = f"The module that is loaded is {driver.module}." if driver.module else ""
        return replace(G03, detail=loaded)
    if driver.state == "ok" and driver.module and driver.version not in ("", driver.module):
        return replace(G03, detail=f"Library {driver.version}, module {driver.module}.")
    return None


def _gpu_lost(facts: Facts) -> Finding | None:
    lost = [g for g in facts.driver.gpus if g.state == "lost"]
    if not lost:
        return None
    return replace(G04, title=f"{_names(lost)} does not answer any more.", detail=lost[0].error)


def _gpu_in_error(facts: Facts) -> Finding | None:
    broken = [g for g in facts.driver.gpus if g.state == "error"]
    if not broken:
        return None
    return replace(
        G12,
        title=f"{_names(broken)} answers with an error.",
        cause="The GPU or its driver has failed; NVIDIA's hook may refuse all GPUs then.",
        severity=Severity.WARNING,
        detail=broken[0].error,
    )


def _memory_of_nobody(facts: Facts) -> Finding | None:
    found = [
        g
        for g in facts.driver.gpus
        if g.state == "ok" and not (g.processes or g.mig_enabled) and g.memory_used > _IDLE_MEMORY
    ]
    if not found:
        return None
    used = listed([f"GPU {g.index}: {g.memory_used // _MIB} MiB" for g in found])
    return replace(
        G26, title=f"The memory of {_names(found)} is in use by nobody in sight.", detail=used
    )


def _compute_mode(facts: Facts) -> Finding | None:
    found = [g for g in facts.driver.gpus if g.compute_mode.lower() not in ("", "default")]
    if not found:
        return None
    modes = listed([f"GPU {g.index}: {g.compute_mode}" for g in found])
    return replace(G27, title=f"{_names(found)} does not take many processes.", detail=modes)


def _bindings_mismatch(facts: Facts) -> Finding | None:
    if facts.driver.state == "too-old":
        return replace(G30, detail=facts.driver.message)
    version = facts.parts.packages.get("pynvml", "")
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < 12:
        # Since then it only requires nvidia-ml-py; before, it had a file of the same name.
        return replace(G30, detail=f"pynvml {version} is installed.")
    return None


def _gpus_answer(facts: Facts) -> Finding | None:
    driver = facts.driver
    healthy = sum(g.state == "ok" for g in driver.gpus)
    if driver.state != "ok" or not healthy:
        return None
    return replace(
        GPUS_OK,
        title=f"Driver {driver.version} and {healthy} GPU{'s' if healthy > 1 else ''} answer.",
        detail=listed([f"{g.index}: {g.name}" for g in driver.gpus if g.state == "ok"]),
    )


def _names(gpus: list[GpuReport]) -> str:
    return " and ".join(f"GPU {g.index}" for g in gpus)


DIAGNOSES = (
    Diagnosis(
        finding=G12,
        check=_gpu_in_error,
        said=says(r"detection error: nvml error: (?:unknown error|.*gpu.*lost)"),
    ),
    Diagnosis(
        finding=G01,
        check=_driver_missing,
        said=says(r"NVMLError_LibraryNotFound|NVML Shared Library Not Found"),
    ),
    Diagnosis(
        finding=G02,
        check=_module_not_loaded,
        said=says(
            r"NVMLError_DriverNotLoaded|NVML: Driver Not Loaded|nvml error: driver not loaded"
            r"|couldn't communicate with the NVIDIA driver"
        ),
    ),
    Diagnosis(
        finding=G03,
        check=_driver_mismatch,
        said=says(r"LibRmVersionMismatch|driver/library version mismatch"),
    ),
    Diagnosis(
        finding=G04,
        check=_gpu_lost,
        said=says(
            r"NVMLError_GpuIsLost|GPU is lost|Unable to determine the device handle"
            r"|fallen off the bus"
        ),
    ),
    Diagnosis(finding=G26, check=_memory_of_nobody),
    Diagnosis(
        finding=G27,
        check=_compute_mode,
        said=says(r"Exclusive_Process|all CUDA-capable devices are busy or unavailable"),
    ),
    Diagnosis(
        finding=G30,
        check=_bindings_mismatch,
        said=says(
            r"NVMLLibraryMismatchError|NVML_ERROR_FUNCTION_NOT_FOUND|NVMLError_FunctionNotFound"
        ),
    ),
    Diagnosis(finding=GPUS_OK, check=_gpus_answer),
)
