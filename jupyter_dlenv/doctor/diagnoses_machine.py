"""Diagnoses of the machine that Jupyter runs on, and of the versions of our own parts."""

from __future__ import annotations

from dataclasses import replace

from .diagnosis import Diagnosis, listed, says
from .facts import Facts
from .finding import Finding, Section, Severity

_MIB = 1024**2
_ROOM = 200 * _MIB

M01 = Finding(
    id="M01",
    section=Section.MACHINE,
    severity=Severity.ERROR,
    title="The directory for the sockets of environments cannot be used.",
    cause="Kernels are reached through sockets there, which only you may open.",
    fix="Name another directory with c.Configuration.runtime_dir, at most 81 bytes long.",
)
M02 = Finding(
    id="M02",
    section=Section.MACHINE,
    severity=Severity.ERROR,
    title="The directory for kernelspecs and what is known of images cannot be used.",
    cause="Without kernelspecs, Jupyter does not find the kernels of environments.",
    fix="Name another directory with c.Configuration.data_dir, or make it yours.",
)
M03 = Finding(
    id="M03",
    section=Section.MACHINE,
    severity=Severity.WARNING,
    title="The disk of your own files is nearly full.",
    cause="Sockets and kernelspecs are small, but cannot be written at all then.",
    fix="Remove some files.",
)
M04 = Finding(
    id="M04",
    section=Section.MACHINE,
    severity=Severity.WARNING,
    title="A variable names certificates that are not there.",
    cause="Every connection with TLS fails then, with a strange message.",
    fix="Correct the variable, or unset it.",
)
M05 = Finding(
    id="M05",
    section=Section.MACHINE,
    severity=Severity.INFO,
    title="This machine trusts certificates of its own.",
    cause="The engine does not see these variables: it has its own list.",
    fix="If pulls fail with x509, see /etc/docker/certs.d/REGISTRY/ca.crt.",
)
M06 = Finding(
    id="M06",
    section=Section.MACHINE,
    severity=Severity.WARNING,
    title="Jupyter runs in a container.",
    cause="Paths in it are not those of the engine's host: mounts and sockets of environments "
    "need the same directories at the same paths in both.",
    fix="Mount Jupyter's runtime directory and the data at the same paths as on the host.",
)
M07 = Finding(
    id="M07",
    section=Section.MACHINE,
    severity=Severity.ERROR,
    title="No port of 127.0.0.1 can be opened.",
    cause="The loopback interface is down, or a sandbox forbids it.",
    fix="`sudo ip link set lo up`, or loosen the sandbox.",
)
M08 = Finding(
    id="M08",
    section=Section.MACHINE,
    severity=Severity.INFO,
    title="Some ports that may be published need root.",
    cause="The rule allowed_host_ports begins below the first port that is everybody's.",
    fix="With a rootless engine, publish ports above it.",
)
M09 = Finding(
    id="M09",
    section=Section.MACHINE,
    severity=Severity.WARNING,
    title="This machine has 64 MB of shared memory or less.",
    cause="Environments of the process engine share it; data loaders die of that.",
    fix="Run the container that Jupyter is in with --shm-size=8g.",
)
P01 = Finding(
    id="P01",
    section=Section.PARTS,
    severity=Severity.ERROR,
    title="A package that jupyter_dlenv needs is missing or too old.",
    cause="It was removed or replaced after the installation.",
    fix="`pip install --upgrade jupyter_dlenv`.",
)
P02 = Finding(
    id="P02",
    section=Section.PARTS,
    severity=Severity.WARNING,
    title="The JupyterLab extension and the server have different versions.",
    cause="One of them was upgraded, and the other is a copy of before.",
    fix="`pip install --force-reinstall jupyter_dlenv`, restart the server, reload the page.",
)
G29 = Finding(
    id="G29",
    section=Section.PARTS,
    severity=Severity.WARNING,
    title="The package pynvml is installed, which is out of use.",
    cause="It only brings nvidia-ml-py along, and prints a warning in every program that "
    "reads GPUs.",
    fix="`pip uninstall pynvml`, then `pip install --force-reinstall nvidia-ml-py`.",
)
MACHINE_OK = Finding(
    id="machine",
    section=Section.MACHINE,
    severity=Severity.OK,
    title="The directories and ports that environments need can be used.",
)
PARTS_OK = Finding(
    id="parts",
    section=Section.PARTS,
    severity=Severity.OK,
    title="jupyter_dlenv is complete.",
)


def _no_sockets(facts: Facts) -> Finding | None:
    trouble = facts.machine.runtime_dir_trouble
    return replace(M01, detail=f"{facts.machine.runtime_dir}: {trouble}") if trouble else None


def _no_data(facts: Facts) -> Finding | None:
    trouble = facts.machine.data_dir_trouble
    return replace(M02, detail=f"{facts.machine.data_dir}: {trouble}") if trouble else None


def _own_disk_full(facts: Facts) -> Finding | None:
    free = facts.machine.data_free
    if free is None or free >= _ROOM:
        return None
    return replace(M03, detail=f"{free // _MIB} MiB are left in {facts.machine.data_dir}.")


def _certificates_missing(facts: Facts) -> Finding | None:
    missing = facts.machine.ca_missing
    return replace(M04, detail=listed(missing)) if missing else None


def _certificates_own(facts: Facts) -> Finding | None:
    own = facts.machine.ca_own
    return replace(M05, detail=listed(own)) if own else None


def _in_container(facts: Facts) -> Finding | None:
    engine = facts.engine
    # An engine whose data can be seen is in the same container.
    outside = engine.kind == "docker" and engine.local and engine.disk_free is None
    return M06 if facts.machine.in_container and outside else None


def _no_ports(facts: Facts) -> Finding | None:
    return None if facts.machine.loopback else M07


def _ports_of_root(facts: Facts) -> Finding | None:
    machine = facts.machine
    lowest = min(machine.host_ports, default=machine.unprivileged_from)
    if lowest >= machine.unprivileged_from or "rootless" not in facts.engine.security:
        return None
    return replace(M08, detail=f"{lowest} is below {machine.unprivileged_from}.")


def _shm_small(facts: Facts) -> Finding | None:
    size = facts.machine.shm_size
    if size is None or size > 64 * _MIB or facts.engine.kind != "process":
        return None
    return replace(M09, detail=f"It has {size // _MIB} MiB.")


def _requirements_unmet(facts: Facts) -> Finding | None:
    unmet = facts.parts.unmet
    return replace(P01, detail=listed(unmet)) if unmet else None


def _front_end_differs(facts: Facts) -> Finding | None:
    parts = facts.parts
    if not parts.front_end or _release(parts.front_end) == _release(parts.version):
        return None
    return replace(P02, detail=f"Extension {parts.front_end}, server {parts.version}.")


def _release(version: str) -> str:
    # 1.0.0rc1 for Python is 1.0.0-rc.1 for npm.
    return "".join(c for c in version if c.isalnum())


def _pynvml_installed(facts: Facts) -> Finding | None:
    version = facts.parts.packages.get("pynvml", "")
    return replace(G29, detail=f"pynvml {version}.") if version else None


def _machine_ready(facts: Facts) -> Finding | None:
    machine = facts.machine
    bad = machine.runtime_dir_trouble or machine.data_dir_trouble or not machine.loopback
    return None if bad or not machine.system else MACHINE_OK


def _parts_complete(facts: Facts) -> Finding | None:
    parts = facts.parts
    if not parts.version or parts.unmet:
        return None
    return replace(
        PARTS_OK,
        title=f"jupyter_dlenv {parts.version} on Python {parts.python}"
        f"{'' if parts.front_end else ', without the JupyterLab extension'}.",
        detail=listed([f"{name} {version}" for name, version in parts.packages.items()]),
    )


DIAGNOSES = (
    Diagnosis(finding=MACHINE_OK, check=_machine_ready),
    Diagnosis(finding=M01, check=_no_sockets),
    Diagnosis(finding=M02, check=_no_data),
    Diagnosis(finding=M03, check=_own_disk_full),
    Diagnosis(finding=M04, check=_certificates_missing),
    Diagnosis(finding=M05, check=_certificates_own),
    Diagnosis(finding=M06, check=_in_container),
    Diagnosis(finding=M07, check=_no_ports),
    Diagnosis(finding=M08, check=_ports_of_root),
    Diagnosis(finding=M09, check=_shm_small),
    Diagnosis(finding=PARTS_OK, check=_parts_complete),
    Diagnosis(finding=P01, check=_requirements_unmet),
    Diagnosis(finding=P02, check=_front_end_differs),
    Diagnosis(finding=G29, check=_pynvml_installed, said=says(r"The pynvml package is deprecated")),
)
