"""Diagnoses of the way from the engine to the GPUs: CDI, NVIDIA's runtime and its hook."""

from __future__ import annotations

import re
from dataclasses import replace

from ..images.fit import meets
from .diagnosis import Diagnosis, listed, says
from .facts import Facts
from .finding import Finding, Section, Severity

_RESTART = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
_GENERATE = "sudo nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml"
#: The first without CVE-2025-23266, by which an image takes over the host.
_SAFE_TOOLKIT = (1, 17, 8)

G05 = Finding(
    id="G05",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The engine cannot give GPUs to containers.",
    cause="The NVIDIA Container Toolkit is missing on the engine's host, or was installed after "
    "Docker had started, or the engine is one that cannot use it (snap, Docker Desktop).",
    fix=f"Install the NVIDIA Container Toolkit, then `{_RESTART}`.",
)
G06 = Finding(
    id="G06",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The engine cannot give GPUs through CDI.",
    cause="It is older than Docker 25, or older than 28.2 and CDI is not switched on.",
    fix='Upgrade Docker, or put `"features": {"cdi": true}` into /etc/docker/daemon.json '
    "and restart Docker; NVIDIA's runtime works without.",
)
G07 = Finding(
    id="G07",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The engine does not know the GPUs by name.",
    cause="The CDI specification is missing or out of date: it is cleared at boot, and changes "
    "with the driver and with MIG; toolkits before 1.15 leave the UUIDs out.",
    fix=f"`{_GENERATE}`, or enable nvidia-cdi-refresh.service.",
)
G08 = Finding(
    id="G08",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The engine looks for AMD's GPUs, since it finds nothing of NVIDIA's.",
    cause="Docker 29.3 and newer do so when none of NVIDIA's programs is on dockerd's PATH.",
    fix="Install the NVIDIA Container Toolkit where dockerd finds it and restart Docker; "
    f"for CDI, `{_GENERATE}`.",
)
G09 = Finding(
    id="G09",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="No container can have a GPU until the machine is rebooted.",
    cause="The NVIDIA driver was upgraded while the old kernel module is still loaded.",
    fix="Reboot the engine's host, or unload the old NVIDIA modules.",
)
G10 = Finding(
    id="G10",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The engine's host has no NVIDIA driver library.",
    cause="The driver is not installed there, or the engine runs in a virtual machine without "
    "one (Docker Desktop), or in a sandbox (snap).",
    fix="Install the driver and run `sudo ldconfig`, or use the system's own engine: "
    "`docker context use default`.",
)
G11 = Finding(
    id="G11",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The driver does not meet what the image requires.",
    cause="The image wants a newer CUDA than the driver has, or another kind of GPU; "
    "or NVIDIA's hook cannot run ldconfig.",
    fix="Use an older tag of the image, or upgrade the driver; as a last resort, "
    "launch with `--env NVIDIA_DISABLE_REQUIRE=1`.",
)
G13 = Finding(
    id="G13",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="NVIDIA's hook may not set the rules for devices.",
    cause="The engine is rootless, or libnvidia-container is too old for cgroup v2.",
    fix="Use CDI, or `sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place`.",
)
G15 = Finding(
    id="G15",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="SELinux keeps containers from the GPUs.",
    cause="The policy of the engine's host does not let containers use /dev/nvidia*.",
    fix="`sudo setsebool -P container_use_devices on`, or let an administrator run the "
    "container with `label=disable`.",
)
G16 = Finding(
    id="G16",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The operating system blocks the GPUs inside containers.",
    cause="The toolkit is set to no-cgroups although the engine runs as root, "
    "or WSL is out of date.",
    fix="`sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups=false --in-place` and "
    "restart Docker; on Windows, `wsl --update`.",
)
G17 = Finding(
    id="G17",
    section=Section.GPUS,
    severity=Severity.ERROR,
    title="The engine has no runtime called nvidia.",
    cause="The NVIDIA Container Toolkit was not registered with the engine.",
    fix=f"`{_RESTART}`.",
)
G28 = Finding(
    id="G28",
    section=Section.GPUS,
    severity=Severity.WARNING,
    title="The NVIDIA Container Toolkit has a hole through which an image can own this machine.",
    cause="Versions before 1.17.8 have CVE-2025-23266 (before 1.16.2 also CVE-2024-0132).",
    fix="Upgrade the package nvidia-container-toolkit.",
)


def _no_way_to_gpus(facts: Facts) -> Finding | None:
    engine, toolkit = facts.engine, facts.toolkit
    if not _containers_want_gpus(facts) or _has_cdi(facts):
        return None
    if "docker desktop" in engine.os.lower():
        return replace(G05, fix="Use the system's own engine: `docker context use default`.")
    if "nvidia" in engine.runtimes:
        return None
    if not toolkit.programs:
        return G05
    late = engine.started and toolkit.installed and toolkit.installed > engine.started
    if toolkit.has_hook and late:
        cause = "The NVIDIA Container Toolkit was installed after Docker had started."
        return replace(G05, cause=cause, fix=f"`{_RESTART}`.")
    return None


def _no_cdi(facts: Facts) -> Finding | None:
    engine = facts.engine
    if not (_containers_want_gpus(facts) and engine.number) or engine.cdi_dirs:
        return None
    # Without CDI, GPUs are had in the other way; only one of its advantages is lost.
    return replace(
        G06,
        severity=Severity.INFO,
        detail=f"Docker {engine.version}.",
    )


def _names_missing(facts: Facts) -> Finding | None:
    engine = facts.engine
    # Older ones have CDI too, but do not say what they have found.
    tells = engine.cdi_devices is not None and bool(engine.cdi_dirs)
    if not (_containers_want_gpus(facts) and tells):
        return None
    if not facts.toolkit.programs and not engine.gpu_names:
        return None
    wanted = [g.uuid for g in facts.gpus if g.uuid and g.state == "ok" and not g.mig_enabled]
    missing = [uuid for uuid in wanted if uuid not in engine.gpu_names]
    if not missing:
        return None
    others = f"It knows {listed(engine.gpu_names)}." if engine.gpu_names else "It knows none."
    return replace(G07, severity=Severity.WARNING, detail=f"Missing: {listed(missing)}. {others}")


def _takes_amd(facts: Facts) -> Finding | None:
    engine = facts.engine
    if not (_containers_want_gpus(facts) and engine.number >= (29, 3)):
        return None
    if facts.toolkit.programs or engine.gpu_names:
        return None
    return replace(G08, detail=f"Docker {engine.version}, without any of NVIDIA's programs.")


def _requirement_unmet(facts: Facts) -> Finding | None:
    for environment in facts.environments if facts.gpus else ():
        required = environment.image_requires
        met = meets(required, cuda=facts.driver.cuda, driver=facts.driver.version)
        if environment.gpus and not met:
            return replace(
                G11,
                detail=f"{environment.name}: {required}; the driver has CUDA {facts.driver.cuda}.",
            )
    return None


def _rootless_hook(facts: Facts) -> Finding | None:
    rootless = "rootless" in facts.engine.security
    if not (_containers_want_gpus(facts) and rootless) or _has_cdi(facts):
        return None
    return None if facts.toolkit.no_cgroups else replace(G13, severity=Severity.WARNING)


def _selinux(facts: Facts) -> Finding | None:
    if not facts.gpus or "selinux" not in facts.engine.security:
        return None
    return replace(
        G15,
        severity=Severity.INFO,
        title="SELinux may keep containers from the GPUs.",
        cause="The engine labels containers, and the policy decides what they may use.",
    )


def _cgroups_off(facts: Facts) -> Finding | None:
    rootless = "rootless" in facts.engine.security
    if not (_containers_want_gpus(facts) and facts.toolkit.no_cgroups) or rootless:
        return None
    return replace(G16, severity=Severity.WARNING, detail="no-cgroups = true")


def _runtime_unregistered(facts: Facts) -> Finding | None:
    engine = facts.engine
    if not (_containers_want_gpus(facts) and facts.toolkit.programs) or _has_cdi(facts):
        return None
    if "nvidia" in engine.runtimes:
        return None
    return replace(G17, severity=Severity.INFO, detail=f"It has {listed(engine.runtimes)}.")


def _toolkit_unsafe(facts: Facts) -> Finding | None:
    version = facts.toolkit.version
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
    if not numbers or numbers >= _SAFE_TOOLKIT:
        return None
    return replace(G28, detail=f"nvidia-ctk says {version}.")


def _containers_want_gpus(facts: Facts) -> bool:
    """Tell whether there are containers to give GPUs to; plain processes have them anyhow."""
    return facts.engine.answers and facts.engine.kind == "docker" and bool(facts.gpus)


def _has_cdi(facts: Facts) -> bool:
    return bool(facts.engine.gpu_names)


DIAGNOSES = (
    Diagnosis(finding=G06, check=_no_cdi, said=says(r'could not select device driver "cdi"')),
    Diagnosis(
        finding=G05, check=_no_way_to_gpus, said=says(r'could not select device driver "(?!cdi")')
    ),
    Diagnosis(
        finding=G07,
        check=_names_missing,
        said=says(r"unresolvable CDI devices|CDI device injection failed"),
    ),
    Diagnosis(finding=G08, check=_takes_amd, said=says(r"AMD CDI spec not found")),
    Diagnosis(
        finding=G09,
        said=says(r"nvidia-container-cli: initialization error:.*version mismatch"),
    ),
    Diagnosis(finding=G10, said=says(r"load library failed: libnvidia-ml")),
    Diagnosis(
        finding=G11,
        check=_requirement_unmet,
        said=says(
            r"requirement error: unsatisfied condition|nvidia-container-cli: ldcache error"
            r"|ldconfig.*(?:terminated with )?signal 9"
        ),
    ),
    Diagnosis(finding=G13, check=_rootless_hook, said=says(r"bpf_prog_query\(BPF_CGROUP_DEVICE\)")),
    Diagnosis(
        finding=G15,
        check=_selinux,
        said=says(r"Failed to initialize NVML: Insufficient Permissions"),
    ),
    Diagnosis(
        finding=G16, check=_cgroups_off, said=says(r"GPU access blocked by the operating system")
    ),
    Diagnosis(
        finding=G17,
        check=_runtime_unregistered,
        said=says(
            r"unknown or invalid runtime name:? \"?nvidia|Unknown runtime specified \"?nvidia"
        ),
    ),
    Diagnosis(finding=G28, check=_toolkit_unsafe),
)
