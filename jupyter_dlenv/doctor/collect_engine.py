"""Facts of the engine: what it says of itself, read with distrust."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psutil

from ..engines.base import Engine, SupportsDiagnostics, SupportsSocketMounts
from ..errors import DlenvError
from ..secrecy import without_password
from .facts import EngineReport
from .patience import in_thread

_LONGEST = 500
#: The first version that says which devices it knows through CDI.
_TELLS_DEVICES = (28, 2)


async def engine_report(engine: Engine) -> EngineReport:
    """Ask an engine who it is; that it does not answer is an answer too."""
    try:
        facts = await engine.probe()
        raw: Mapping[str, Any] = {}
        if isinstance(engine, SupportsDiagnostics):
            raw = await engine.diagnostics()
    except DlenvError as error:
        return replace(failed(error), name=without_password(engine.name))
    info = _mapping(raw, "info")
    shares = isinstance(engine, SupportsSocketMounts) and engine.shares_sockets()
    report = EngineReport(
        name=without_password(engine.name),
        kind=facts.kind,
        version=facts.version,
        api_version=facts.api_version,
        os=facts.os,
        kernel=_text(info, "KernelVersion"),
        architecture=facts.architecture,
        local=facts.local,
        shares_sockets=shares,
        security=_security(info),
        cgroup_driver=_text(info, "CgroupDriver"),
        runtimes=tuple(sorted(map(str, _mapping(info, "Runtimes")))),
        default_runtime=_text(info, "DefaultRuntime"),
        cdi_dirs=_texts(info, "CDISpecDirs"),
        cdi_devices=_devices(info),
        forwards_packets=info.get("IPv4Forwarding") is not False,
        # Not the values: they may hold passwords.
        proxies=tuple(key for key in ("HttpProxy", "HttpsProxy") if _text(info, key)),
        data_root=facts.data_root,
    )
    if report.cdi_devices is None and report.number >= _TELLS_DEVICES:
        # It leaves out what is empty.
        report = replace(report, cdi_devices=())
    return await in_thread(lambda: _on_this_machine(report)) if report.local else report


def failed(error: DlenvError) -> EngineReport:
    """Return the report of an engine that could not be asked, or not even be found."""
    return EngineReport(
        error=error.code, message=str(error), hint=error.hint, detail=error.detail[:_LONGEST]
    )


def _on_this_machine(report: EngineReport) -> EngineReport:
    try:
        usage = shutil.disk_usage(report.data_root)
    except OSError:
        # Of a rootless engine, or of one outside of the container that Jupyter is in.
        return report
    started = _dockerd_started() if report.kind == "docker" else None
    return replace(report, disk_total=usage.total, disk_free=usage.free, started=started)


def _dockerd_started() -> float | None:
    """Return when the one dockerd of this machine has started."""
    processes = psutil.process_iter(["name", "create_time"])
    found = [p.info["create_time"] for p in processes if p.info["name"] == "dockerd"]
    return float(found[0]) if len(found) == 1 and found[0] else None


def _security(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return ``rootless`` for ``name=rootless``, and so on."""
    options = _texts(info, "SecurityOptions") or ()
    return tuple(o.removeprefix("name=").partition(",")[0] for o in options)


def _devices(info: Mapping[str, Any]) -> tuple[str, ...] | None:
    devices = info.get("DiscoveredDevices")
    if not isinstance(devices, list):
        return None
    return tuple(_text(d, "ID") for d in devices if isinstance(d, Mapping))


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value[:_LONGEST] if isinstance(value, str) else ""


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = data.get(key)
    if not isinstance(value, list):
        return None
    return tuple(v[:_LONGEST] for v in value if isinstance(v, str))
