"""The few system calls that Python has no name for."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import List, Tuple

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
#: Inside a container its own control group is seen as the root.
_CGROUP = "/sys/fs/cgroup"


def adopt_orphans() -> bool:
    """Become the parent of all descendants whose own parent has ended; tell whether it worked."""
    return os.getpid() == 1 or _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have this process killed if its parent ends, however that ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def keep_large_blocks() -> None:
    """Have the C library use the memory of large blocks again, for a process that moves data.

    Left alone it maps each block of 128 KiB or more anew, and the system fills every page of
    it with zeros first; a third of the time of a transfer goes into that.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * 1024 * 1024)
        libc.mallopt(_M_TRIM_THRESHOLD, 16 * 1024 * 1024)


def children() -> List[int]:
    """Return the processes whose parent is this one, the adopted ones among them."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    # The name of the command, in parentheses, may contain anything.
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if int(parent) == os.getpid() and state != b"Z":
                found.append(int(name))
    return found


def uses_gpu() -> bool:
    """Tell whether this process has a device of a GPU open."""
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/%s" % descriptor).startswith("/dev/nvidia"):
                return True
        except OSError:
            continue
    return False


def memory_left() -> int:
    """Return how many bytes this container, or else the machine, has left."""
    left = []
    try:
        with open("/proc/meminfo") as file:
            available = [line for line in file if line.startswith("MemAvailable:")]
        left.append(int(available[0].split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            left.append(_cgroup_number(limit) - _cgroup_number(used))
        except (OSError, ValueError):
            # "max", or the other version of control groups.
            continue
    return min(left, default=sys.maxsize)


def out_of_memory_kills() -> int:
    """Return how many processes of this container were killed for want of memory."""
    for path in ("memory.events", "memory/memory.oom_control"):
        try:
            with open(os.path.join(_CGROUP, path)) as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            continue
    return 0


def shared_memory() -> "Tuple[int, int]":
    """Return the size of ``/dev/shm`` and how much of it is free, in bytes."""
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108  looked at only
    except OSError:
        return 0, 0
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _cgroup_number(path: str) -> int:
    with open(os.path.join(_CGROUP, path)) as file:
        return int(file.read())


def _prctl(option: int, value: int) -> bool:
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        # A Python without ctypes, or a system that is not Linux.
        return False
