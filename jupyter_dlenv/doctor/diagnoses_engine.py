"""Diagnoses of the engine itself: whether it answers, and whether environments can run on it."""

from __future__ import annotations

from dataclasses import replace

from .diagnosis import Diagnosis, listed, says
from .facts import Facts
from .finding import Finding, Section, Severity

#: Since then it has CDI switched on, and says which GPUs it knows.
_WITH_CDI = (28, 2)
_UNREACHABLE = ("engine-unreachable", "engine-timeout")

E01 = Finding(
    id="E01",
    section=Section.ENGINE,
    severity=Severity.ERROR,
    title="No engine answers.",
    cause="Docker is not installed or does not run, or the address is wrong.",
    fix="Start Docker (`sudo systemctl start docker`), or name another engine with --engine.",
)
E02 = Finding(
    id="E02",
    section=Section.ENGINE,
    severity=Severity.ERROR,
    title="You may not use the engine's socket.",
    cause="The socket belongs to root and to the group docker, and you are not in it "
    "(or were not yet when you logged in).",
    fix="`sudo usermod -aG docker $USER`, then log in again; or use a rootless engine.",
)
E03 = Finding(
    id="E03",
    section=Section.ENGINE,
    severity=Severity.ERROR,
    title="The engine is too old.",
    cause="It does not know the API that is used.",
    fix="Upgrade to Docker 20.10 or newer; 28.2 or newer for GPUs without surprises.",
)
E04 = Finding(
    id="E04",
    section=Section.ENGINE,
    severity=Severity.ERROR,
    title="The engine that is meant cannot be found out.",
    cause="The name, the address, the Docker context or its certificates cannot be used.",
    fix="See `docker context ls`, DOCKER_HOST and DOCKER_CERT_PATH, or name one with --engine.",
)
E05 = Finding(
    id="E05",
    section=Section.ENGINE,
    severity=Severity.INFO,
    title="Kernels on this engine are reached over a stream of the engine.",
    cause="It is on another machine or in a virtual one (Docker Desktop), and shares no sockets "
    "with this machine.",
    fix="Nothing has to be done; on this machine's own engine, kernels answer a little faster.",
)
E06 = Finding(
    id="E06",
    section=Section.ENGINE,
    severity=Severity.WARNING,
    title="The engine gives users in containers other numbers.",
    cause="It was set to userns-remap, so what environments write to mounted directories "
    "belongs to nobody you know.",
    fix="Take userns-remap out of /etc/docker/daemon.json, or use a rootless engine.",
)
E07 = Finding(
    id="E07",
    section=Section.ENGINE,
    severity=Severity.INFO,
    title="The engine is rootless.",
    cause="Root inside an environment is you outside, so environments run as root: "
    "files belong to you all the same.",
)
E08 = Finding(
    id="E08",
    section=Section.ENGINE,
    severity=Severity.WARNING,
    title="Containers on this engine have no way to the network.",
    cause="The engine's host does not forward packets.",
    fix="`sudo sysctl -w net.ipv4.ip_forward=1`, and make it last in /etc/sysctl.d.",
)
E09 = Finding(
    id="E09",
    section=Section.ENGINE,
    severity=Severity.WARNING,
    title="The engine does not know the proxy that is set here.",
    cause="Variables such as HTTPS_PROXY reach this program, not the engine, which pulls images.",
    fix='Put `"proxies": {"https-proxy": "…"}` into /etc/docker/daemon.json and restart Docker.',
)
ENGINE_OK = Finding(
    id="engine", section=Section.ENGINE, severity=Severity.OK, title="The engine answers."
)


def _unreachable(facts: Facts) -> Finding | None:
    return _of_error(facts, E01, _UNREACHABLE)


def _not_permitted(facts: Facts) -> Finding | None:
    return _of_error(facts, E02, ("engine-permission",))


def _too_old(facts: Facts) -> Finding | None:
    return _of_error(facts, E03, ("engine-too-old",))


def _cannot_be_used(facts: Facts) -> Finding | None:
    others = {*_UNREACHABLE, "engine-permission", "engine-too-old", ""}
    if facts.engine.error in others:
        return None
    return _of_error(facts, E04, (facts.engine.error,))


def _of_error(facts: Facts, finding: Finding, codes: tuple[str, ...]) -> Finding | None:
    engine = facts.engine
    if engine.error not in codes:
        return None
    # What was raised knows the address, and often what to try.
    return replace(
        finding,
        title=engine.message or finding.title,
        fix=engine.hint or finding.fix,
        detail=engine.detail,
    )


def _shares_no_sockets(facts: Facts) -> Finding | None:
    engine = facts.engine
    return E05 if engine.answers and not engine.shares_sockets else None


def _users_mapped(facts: Facts) -> Finding | None:
    return E06 if "userns" in facts.engine.security else None


def _rootless(facts: Facts) -> Finding | None:
    return E07 if "rootless" in facts.engine.security else None


def _no_network(facts: Facts) -> Finding | None:
    return None if facts.engine.forwards_packets else E08


def _proxy_unknown(facts: Facts) -> Finding | None:
    engine = facts.engine
    applies = engine.answers and engine.kind == "docker" and facts.machine.proxies
    if not applies or engine.proxies:
        return None
    return replace(E09, detail=f"Set here: {listed(facts.machine.proxies)}.")


def _answers(facts: Facts) -> Finding | None:
    engine = facts.engine
    if not engine.answers:
        return None
    if engine.kind != "docker":
        return replace(
            ENGINE_OK,
            title="Environments are plain processes of this machine.",
            cause="The process engine isolates nothing, and gives no GPUs.",
        )
    through = []
    if engine.number >= _WITH_CDI and engine.cdi_dirs:
        through.append("CDI")
    if "nvidia" in engine.runtimes:
        through.append("NVIDIA's runtime")
    features = f"GPUs through {' and '.join(through)}" if through else "no GPUs"
    return replace(
        ENGINE_OK,
        title=f"Docker {engine.version} answers ({engine.name}).",
        detail=f"{engine.os}, {engine.architecture}; {features}",
    )


DIAGNOSES = (
    Diagnosis(finding=ENGINE_OK, check=_answers),
    Diagnosis(
        finding=E02,
        check=_not_permitted,
        said=says(r"permission denied while trying to connect to the Docker"),
    ),
    Diagnosis(
        finding=E01,
        check=_unreachable,
        said=says(r"Cannot connect to the Docker daemon|Is the docker daemon running"),
    ),
    Diagnosis(
        finding=E03,
        check=_too_old,
        said=says(r"client version \S+ is too (?:new|old)"),
    ),
    Diagnosis(finding=E04, check=_cannot_be_used),
    Diagnosis(finding=E05, check=_shares_no_sockets),
    Diagnosis(finding=E06, check=_users_mapped),
    Diagnosis(finding=E07, check=_rootless),
    Diagnosis(finding=E08, check=_no_network),
    Diagnosis(finding=E09, check=_proxy_unknown),
)
