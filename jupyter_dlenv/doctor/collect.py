"""Finds out the facts, all at once: each has its own time, and what cannot be had is absent."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..engines.base import Engine
from ..errors import DlenvError
from ..secrecy import without_password
from .collect_engine import engine_report, failed
from .collect_environments import environment_reports
from .collect_gpus import compute_modes, driver_report, toolkit_report, with_modes
from .collect_machine import machine_report, parts_report
from .collect_registries import REGISTRIES, registry_reports
from .facts import (
    DriverReport,
    EngineReport,
    EnvironmentReport,
    Facts,
    MachineReport,
    PartsReport,
    ToolkitReport,
)
from .patience import in_thread, within

_ENGINE_SECONDS = 15.0
_ENVIRONMENTS_SECONDS = 20.0
_DRIVER_SECONDS = 20.0
_REGISTRIES_SECONDS = 15.0
_LOCAL_SECONDS = 8.0


async def collect(
    engine: Engine | DlenvError,
    *,
    owner: str,
    runtime_dir: Path,
    data_dir: Path,
    host_ports: tuple[int, int],
    registries: tuple[str, ...] = REGISTRIES,
) -> Facts:
    """Find out what can be found out, in some seconds; nothing is raised or changed.

    Args:
        engine: Or the error with which it could not be opened.
        owner: Whose environments are looked at.
        host_ports: Lowest and highest host port that may be published.
    """
    absent: dict[str, str] = {}
    (about_engine, environments), driver, toolkit, asked, machine, parts = await asyncio.gather(
        _engine(engine, owner, absent),
        _driver(absent),
        within(_LOCAL_SECONDS, "toolkit", toolkit_report(), absent),
        within(_REGISTRIES_SECONDS, "registries", registry_reports(registries), absent),
        within(
            _LOCAL_SECONDS,
            "machine",
            in_thread(lambda: machine_report(runtime_dir, data_dir, host_ports)),
            absent,
        ),
        within(_LOCAL_SECONDS, "parts", in_thread(parts_report), absent),
    )
    return Facts(
        engine=about_engine,
        driver=driver,
        toolkit=toolkit or ToolkitReport(),
        environments=environments,
        registries=asked or (),
        machine=machine or MachineReport(),
        parts=parts or PartsReport(),
        absent=absent,
    )


async def _engine(
    engine: Engine | DlenvError, owner: str, absent: dict[str, str]
) -> tuple[EngineReport, tuple[EnvironmentReport, ...]]:
    if isinstance(engine, DlenvError):
        return failed(engine), ()
    report = await within(_ENGINE_SECONDS, "engine", engine_report(engine), absent)
    if report is None or not report.answers:
        return report or EngineReport(name=without_password(engine.name)), ()
    found = await within(
        _ENVIRONMENTS_SECONDS, "environments", environment_reports(engine, owner), absent
    )
    return report, found or ()


async def _driver(absent: dict[str, str]) -> DriverReport:
    report, modes = await asyncio.gather(
        within(_DRIVER_SECONDS, "driver", driver_report(), absent),
        within(_LOCAL_SECONDS, "compute modes", compute_modes(), absent),
    )
    return with_modes(report or DriverReport(), modes or {})
