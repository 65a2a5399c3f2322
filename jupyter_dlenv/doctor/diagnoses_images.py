"""Diagnoses of what images need: registries, logins, the engine's disk."""

from __future__ import annotations

from dataclasses import replace

from .diagnosis import Diagnosis, listed, says
from .facts import Facts
from .finding import Finding, Section, Severity

_GB = 1000**3
#: A framework image and what it unpacks to, together.
_COMFORTABLE = 40 * _GB
_FULL = 2 * _GB

G23 = Finding(
    id="G23",
    section=Section.IMAGES,
    severity=Severity.ERROR,
    title="The registry wants another login, or none.",
    cause="A saved login is out of date, the image needs a licence of its own, or the registry "
    "was in no mood to give a token to strangers, which passes.",
    fix="Try again; then `docker logout REGISTRY` for public images, or `docker login REGISTRY` "
    "(for NGC the user is $oauthtoken and the password your API key).",
)
G24 = Finding(
    id="G24",
    section=Section.IMAGES,
    severity=Severity.ERROR,
    title="The engine's disk is full.",
    cause="Images of deep-learning frameworks take 20 GB and more each.",
    fix="See `docker system df`, remove images that nobody needs (`docker image ls`, "
    "`docker image rm`), and `docker builder prune`.",
)
R01 = Finding(
    id="R01",
    section=Section.IMAGES,
    severity=Severity.ERROR,
    title="The registry cannot be reached.",
    cause="There is no network or name service, a proxy is not set, or the address is wrong.",
    fix="Images that are on the engine already can be used (`jupyter dlenv images`); for others, "
    "check the address, and the engine's proxy in its /etc/docker/daemon.json (`proxies`).",
)
R02 = Finding(
    id="R02",
    section=Section.IMAGES,
    severity=Severity.ERROR,
    title="The certificate of the registry is not trusted.",
    cause="A company's proxy or registry has a certificate authority of its own, "
    "which the engine (or this program) does not know.",
    fix="Give the engine the authority's certificate as /etc/docker/certs.d/REGISTRY/ca.crt, and "
    "this program the variable SSL_CERT_FILE.",
)
R03 = Finding(
    id="R03",
    section=Section.IMAGES,
    severity=Severity.WARNING,
    title="What answers at the registry's address is no registry.",
    cause="The address is wrong, or a proxy or login page answers in its place.",
    fix="Check the address, and log in to the network if it wants that.",
)
REGISTRY_OK = Finding(
    id="registry",
    section=Section.IMAGES,
    severity=Severity.OK,
    title="The registry answers.",
)
DISK_OK = Finding(
    id="disk",
    section=Section.IMAGES,
    severity=Severity.OK,
    title="The engine's disk has room.",
)


def _login_wanted(facts: Facts) -> Finding | None:
    for registry in facts.registries:
        if registry.state != "login":
            continue
        host = registry.host
        if registry.login:
            return replace(
                G23,
                severity=Severity.INFO,
                title=f"{host} gives nothing to strangers; a login for it is saved.",
                cause="Whether the login is good shows when an image is pulled.",
                fix="",
                detail=registry.detail,
            )
        return replace(
            G23,
            severity=Severity.WARNING,
            title=f"{host} gives nothing to strangers, and no login for it is saved.",
            cause="The registry wants a login, or was in no mood to give a token, which passes.",
            fix=f"`docker login {host}`, if you use it.",
            detail=registry.detail,
        )
    return None


def _disk_full(facts: Facts) -> Finding | None:
    free = facts.engine.disk_free
    if free is None or free > _COMFORTABLE:
        return None
    left = f"{free / _GB:.1f} GB are left in {facts.engine.data_root}."
    if free <= _FULL:
        return replace(G24, detail=left)
    return replace(
        G24,
        severity=Severity.WARNING,
        title="The engine's disk may be too small for another image.",
        detail=left,
    )


def _disk_has_room(facts: Facts) -> Finding | None:
    free = facts.engine.disk_free
    if free is None or free <= _COMFORTABLE:
        return None
    return replace(DISK_OK, title=f"The engine's disk has {free / _GB:.0f} GB of room.")


def _unreachable(facts: Facts) -> Finding | None:
    away = [r for r in facts.registries if r.state == "unreachable"]
    if not away:
        return None
    return replace(
        R01,
        severity=Severity.WARNING,
        title=f"{listed([r.host for r in away])} cannot be reached from this machine.",
        detail=away[0].detail,
    )


def _untrusted(facts: Facts) -> Finding | None:
    found = [r for r in facts.registries if r.state == "tls"]
    if not found:
        return None
    return replace(
        R02,
        severity=Severity.WARNING,
        title=f"The certificate of {found[0].host} is not trusted by this machine.",
        detail=found[0].detail,
    )


def _no_registry(facts: Facts) -> Finding | None:
    found = [r for r in facts.registries if r.state == "odd"]
    if not found:
        return None
    return replace(
        R03,
        title=f"What answers as {found[0].host} is no registry.",
        detail=found[0].detail,
    )


def _reachable(facts: Facts) -> Finding | None:
    found = [r.host for r in facts.registries if r.state == "open"]
    verb = "answer" if len(found) > 1 else "answers"
    return replace(REGISTRY_OK, title=f"{listed(found)} {verb}.") if found else None


DIAGNOSES = (
    Diagnosis(finding=G24, check=_disk_full, said=says(r"no space left on device")),
    Diagnosis(finding=DISK_OK, check=_disk_has_room),
    Diagnosis(
        finding=R02,
        check=_untrusted,
        said=says(r"x509:|certificate verify failed|certificate signed by unknown authority"),
    ),
    Diagnosis(
        finding=G23,
        check=_login_wanted,
        said=says(
            r"failed to fetch anonymous token|authentication required|Authorization Required"
            r"|no basic auth credentials|unauthorized: |unexpected status.*\b401\b"
        ),
    ),
    Diagnosis(
        finding=R01,
        check=_unreachable,
        said=says(
            r"(?:Get|Head) \"https?://[^\"]*/v2/.*(?:refused|no such host|timeout|unreachable"
            r"|deadline|no route|server misbehaving|proxyconnect|EOF|Client\.Timeout)"
        ),
    ),
    Diagnosis(finding=R03, check=_no_registry),
    Diagnosis(finding=REGISTRY_OK, check=_reachable),
)
