"""Which process launches an environment, and whether it still lives.

A launch that was killed half-way must not leave its container behind.  So every
container says who launches it, and whoever lists environments later can tell an
unfinished launch from an abandoned one.
"""

from __future__ import annotations

import platform
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil

#: For launchers on other machines, whose processes cannot be asked.
_LONGEST_LAUNCH = timedelta(hours=1)


def own_identity() -> str:
    """Return ``HOST/PID-NAMESPACE/PID/START`` of this process."""
    process = psutil.Process()
    return f"{_machine()}/{process.pid}/{process.create_time():.0f}"


def is_alive(identity: str, *, created: str) -> bool:
    """Tell whether the process of an identity still runs.

    On another machine nobody can know: such a launch is believed for an hour.

    Args:
        identity: What ``own_identity`` returned there.
        created: When the launch made its container, as ISO 8601.
    """
    machine, _, rest = identity.rpartition("/")
    machine, _, pid = machine.rpartition("/")
    if machine != _machine():
        return _age(created) < _LONGEST_LAUNCH
    try:
        started = psutil.Process(int(pid)).create_time()
        # The kernel counts from boot, and the boot time that psutil adds moves with NTP.
        return abs(started - float(rest)) < 5
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except psutil.AccessDenied:
        return True


def _machine() -> str:
    try:
        # Two containers on one host may both have a process 42.
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{platform.node().replace('/', '-')}/{namespace}"


def _age(created: str) -> timedelta:
    try:
        moment = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return timedelta.max
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return datetime.now(timezone.utc) - moment
