"""Whose a process is that uses a GPU: its user, its command, and the container that it runs in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

# As Docker, containerd, CRI-O and Podman name a container's cgroup, with and without systemd.
_CONTAINER = re.compile(r"(?:([a-z]+(?:-[a-z]+)*)-)?([0-9a-f]{64})(?:\.scope)?")
#: Of the kernel: the number of the process namespace that all others are in.
_FIRST_NAMESPACE = 0xEFFFFFFC
_LONGEST_COMMAND = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What can be seen of a process from here; what cannot is empty."""

    user: str = ""
    command: str = ""
    container_id: str = ""


def describe(pid: int, *, proc: Path = Path("/proc")) -> ProcessFacts:
    """Return what is known of a process that the driver has named by its number."""
    # The driver counts as the host does: in a container, the number is another process's.
    return look_up(pid, proc=proc) if sees_the_hosts_processes(proc) else ProcessFacts()


def look_up(pid: int, *, proc: Path = Path("/proc")) -> ProcessFacts:
    """Return what is known of a process, which may have ended meanwhile."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            user = process.username()
            words = process.cmdline() or [process.name()]
    except (psutil.Error, OSError, ValueError, OverflowError):
        return ProcessFacts()
    return ProcessFacts(
        user=user,
        command=" ".join(words)[:_LONGEST_COMMAND],
        container_id=_container_of(proc / str(pid) / "cgroup"),
    )


def sees_the_hosts_processes(proc: Path = Path("/proc")) -> bool:
    """Tell whether numbers of processes mean here what they mean to the driver."""
    try:
        return (proc / "self/ns/pid").stat().st_ino == _FIRST_NAMESPACE
    except OSError:
        return True


def container_id(cgroups: str) -> str:
    """Return the full id of the container that ``/proc/PID/cgroup`` names, or nothing."""
    for line in cgroups.splitlines():
        # The innermost container counts; what it has made below itself has other names.
        for part in reversed(line.rpartition(":")[2].split("/")):
            match = _CONTAINER.fullmatch(part)
            # conmon watches a container of Podman or CRI-O, from outside.
            if match and not (match[1] or "").endswith("conmon"):
                return match[2]
    return ""


def _container_of(path: Path) -> str:
    try:
        return container_id(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
