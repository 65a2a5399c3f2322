"""Diagnoses of environments that were launched: what they see, and what their images want."""

from __future__ import annotations

from dataclasses import replace

from ..images.fit import has_code, is_data_centre, major
from ..images.remote import processor
from .diagnosis import Diagnosis, heard, listed, says
from .facts import Facts
from .finding import Finding, Section, Severity

_DEFAULT_SHM = 64 * 1024**2
_NO_DRIVER = says(r"The NVIDIA Driver was not detected")
_SMALL_SHM = says(r"SHMEM allocation limit is set to the default of 64\s?MB")
_BUS_ERROR = says(r"\bBus error\b|insufficient shared memory|\bSIGBUS\b")

G14 = Finding(
    id="G14",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="An environment has lost its GPUs while it ran.",
    cause="`systemctl daemon-reload` (package upgrades do it) or an update of the container has "
    "dropped its right to the devices: systemd does not know of what NVIDIA's hook has set.",
    fix="Re-create it: `jupyter dlenv recreate NAME`; so that it does not happen again, give "
    "GPUs through CDI, or set Docker's cgroup driver to cgroupfs.",
)
G18 = Finding(
    id="G18",
    section=Section.GPUS,
    severity=Severity.INFO,
    title="Containers that ask for no GPU get all of them on this engine.",
    cause="Its default runtime is NVIDIA's, and most images ask for all GPUs.",
    fix="Nothing for environments: those without GPUs are told to see none. For other "
    "containers, take default-runtime out of /etc/docker/daemon.json.",
)
G19 = Finding(
    id="G19",
    section=Section.IMAGES,
    severity=Severity.WARNING,
    title="The image was built for a newer driver.",
    cause="CUDA cannot bridge the difference on this kind of GPU (errors 803 and 804).",
    fix="Use an older tag of the image, whose driver is not newer than this machine's, "
    "or upgrade the driver.",
)
G20 = Finding(
    id="G20",
    section=Section.IMAGES,
    severity=Severity.ERROR,
    title="The image was not built for this kind of GPU.",
    cause="The GPU's compute capability is not among those that the image has code for.",
    fix="Use a tag that has it: an older one for an old GPU, a newer one for a new GPU.",
)
G21 = Finding(
    id="G21",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="An environment was promised GPUs and sees none.",
    cause="The engine took the request, but nothing put the driver into the container.",
    fix="Launch it anew; if it stays so, see the other findings about GPUs here.",
)
G22 = Finding(
    id="G22",
    section=Section.IMAGES,
    severity=Severity.WARNING,
    title="An environment has too little shared memory.",
    cause="Docker's default for /dev/shm is 64 MB, on which data loaders and NCCL die.",
    fix="Launch it with --shm-size 8g or more.",
)
G25 = Finding(
    id="G25",
    section=Section.IMAGES,
    severity=Severity.ERROR,
    title="The image, or a program in it, is for another kind of processor.",
    cause="It was built for another architecture than the engine's host has.",
    fix="Choose a tag for this architecture (on ARM servers one with `sbsa` or without a "
    "suffix, not `igpu`), or another engine.",
)


def _gpus_lost(facts: Facts) -> Finding | None:
    words = says(r"Failed to initialize NVML: Unknown Error")
    for environment in facts.environments:
        if environment.running and words.search(environment.smi):
            return replace(
                G14,
                title=f"The environment {environment.name} has lost its GPUs while it ran.",
                fix=f"Re-create it, its home and mounts stay: `jupyter dlenv recreate "
                f"{environment.name}`; so that it does not happen again, give GPUs through CDI, "
                "or set Docker's cgroup driver to cgroupfs.",
                detail=environment.smi,
            )
    engine = facts.engine
    at_risk = facts.gpus and engine.cgroup_driver == "systemd" and not engine.gpu_names
    if not (engine.answers and at_risk):
        return None
    return replace(
        G14,
        severity=Severity.INFO,
        title="Environments may lose their GPUs when systemd reloads.",
        fix="Give GPUs through CDI: `sudo nvidia-ctk cdi generate "
        "--output=/var/run/cdi/nvidia.yaml`, with Docker 28.2 or newer.",
    )


def _sees_too_much(facts: Facts) -> Finding | None:
    for environment in facts.environments:
        if environment.running and not environment.gpus and environment.sees:
            return replace(
                G18,
                severity=Severity.ERROR,
                title=f"The environment {environment.name} has no GPU and sees some.",
                cause="The engine gave it devices that nobody asked for.",
                fix="Take default-runtime out of /etc/docker/daemon.json, and launch it anew.",
                detail=listed(environment.sees),
            )
    return G18 if facts.engine.default_runtime == "nvidia" else None


def _driver_below_image(facts: Facts) -> Finding | None:
    for environment in facts.environments if facts.gpus else ():
        wanted, have = major(environment.image_driver), major(facts.driver.version)
        if not (environment.gpus and wanted and have) or have >= wanted:
            continue
        detail = (
            f"{environment.name}: {environment.image} was built for driver "
            f"{environment.image_driver}; this machine has {facts.driver.version}."
        )
        if all(is_data_centre(g.name) for g in facts.gpus):
            return replace(
                G19,
                severity=Severity.INFO,
                title="The image was built for a newer driver, and runs in compatibility mode.",
                cause="NVIDIA's libraries in the image bridge the difference on these GPUs.",
                fix="Upgrade the driver when it suits.",
                detail=detail,
            )
        return replace(G19, detail=detail)
    return None


def _gpu_not_in_image(facts: Facts) -> Finding | None:
    for environment in facts.environments:
        for gpu in facts.gpus:
            capability = gpu.compute_capability
            built = environment.image_capabilities
            if environment.gpus and capability and built and not has_code(capability, built):
                return replace(
                    G20,
                    severity=Severity.WARNING,
                    detail=f"{environment.name}: GPU {gpu.index} ({gpu.name}) has {capability}, "
                    f"the image {listed(built)}.",
                )
    return None


def _sees_nothing(facts: Facts) -> Finding | None:
    for environment in facts.environments:
        lost = "Failed to initialize NVML" in environment.smi
        if environment.running and environment.gpus and environment.sees == () and not lost:
            return replace(
                G21,
                title=f"The environment {environment.name} was promised "
                f"{environment.gpus} GPU{'s' if environment.gpus > 1 else ''} and sees none.",
                detail=environment.smi,
            )
    # An environment that wants no GPU says so too, and is right.
    return heard(G21, _NO_DRIVER, facts, gpus_only=True)


def _shm_small(facts: Facts) -> Finding | None:
    small = [e.name for e in facts.environments if 0 < e.shm_size <= _DEFAULT_SHM]
    if small:
        return replace(G22, title=f"{listed(small)} has 64 MB of shared memory or less.", detail="")
    return heard(G22, _SMALL_SHM, facts) or heard(
        replace(G22, severity=Severity.ERROR), _BUS_ERROR, facts
    )


def _other_processor(facts: Facts) -> Finding | None:
    host = processor(facts.engine.architecture)
    for environment in facts.environments:
        image = environment.image_architecture
        if host and image and image != host:
            return replace(
                G25,
                severity=Severity.WARNING,
                detail=f"{environment.name}: the image is for {image}, the engine is {host}.",
            )
    return None


DIAGNOSES = (
    Diagnosis(
        finding=G14, check=_gpus_lost, said=says(r"Failed to initialize NVML: Unknown Error")
    ),
    Diagnosis(finding=G18, check=_sees_too_much),
    Diagnosis(
        finding=G19,
        check=_driver_below_image,
        said=says(
            r"built for NVIDIA Driver Release|compatibility mode is UNAVAILABLE"
            r"|cuInit\(\)\s?=\s?80[34]|forward compatibility was attempted on non supported HW"
            r"|CUDA driver version is insufficient"
        ),
    ),
    Diagnosis(
        finding=G20,
        check=_gpu_not_in_image,
        said=says(
            r"not (?:yet )?supported in this version of the container"
            r"|\(not yet\) supported in this version|no kernel image is available"
        ),
    ),
    Diagnosis(finding=G21, check=_sees_nothing),
    Diagnosis(finding=G22, check=_shm_small, said=_BUS_ERROR),
    Diagnosis(
        finding=G25,
        check=_other_processor,
        said=says(
            # Docker's init lets a shell try what the kernel refuses.
            r"exec format error|\d: \x7fELF|no matching manifest for"
            r"|requested image's platform .* does not match"
        ),
    ),
)
