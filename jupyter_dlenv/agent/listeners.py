"""Which TCP ports somebody in this environment listens on, and who."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from typing import Any, Dict, Iterator, List, Optional, Set

_LISTEN = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")
_LONGEST_COMMAND = 4096


class Listener:
    """One listening socket."""

    def __init__(self, family: int, address: str, port: int, uid: int, inode: int) -> None:
        self.family = family
        self.address = address
        self.port = port
        self.uid = uid
        self.inode = inode

    @property
    def any_address(self) -> bool:
        return self.address in ("0.0.0.0", "::")  # noqa: S104 compared, not bound


def listening() -> List[Listener]:
    """Return every listening TCP socket of this network."""
    return [*_read("/proc/net/tcp", socket.AF_INET), *_read("/proc/net/tcp6", socket.AF_INET6)]


def describe(
    kernels: Dict[int, Set[int]], only_below: Optional[int] = None
) -> List[Dict[str, Any]]:
    """Return the listening sockets and the processes behind them, as far as they can be seen.

    Args:
        kernels: The processes that are kernels, and the sockets that each needs for itself.
        only_below: Leave out what does not belong to this process or those that it started;
            for an environment that has no network of its own.
    """
    internal = {inode for inodes in kernels.values() for inode in inodes}
    found = [listener for listener in listening() if listener.inode not in internal]
    owners = _owners({listener.inode for listener in found})
    family = _family(only_below) if only_below is not None else None
    described = []
    for listener in found:
        pid = owners.get(listener.inode)
        if family is not None and pid not in family:
            continue
        described.append(
            {
                "port": listener.port,
                "address": listener.address,
                "uid": listener.uid,
                "pid": pid,
                # What a kernel runs as says nothing of what listens in it.
                "name": "kernel" if pid in kernels else _text(pid, "comm"),
                "command": [] if pid in kernels else _text(pid, "cmdline").split("\0"),
            }
        )
    return described


def sockets_of(pid: int) -> Set[int]:
    """Return the sockets that a process holds, none if this user may not look into it."""
    directory = "/proc/%d/fd" % pid
    inodes = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):
                match = _SOCKET.match(os.readlink(directory + "/" + name))
                if match:
                    inodes.add(int(match.group(1)))
    return inodes


def _read(path: str, family: int) -> Iterator[Listener]:
    try:
        with open(path) as table:
            lines = table.read().splitlines()[1:]
    except OSError:
        # A system without IPv6.
        return
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            host = _address(address, family)
            yield Listener(family, host, int(port, 16), int(fields[7]), int(fields[9]))


def _address(digits: str, family: int) -> str:
    # Words of 32 bits, each in the byte order of the machine.
    words = [int(digits[i : i + 8], 16) for i in range(0, len(digits), 8)]
    packed = struct.pack("=%dI" % len(words), *words)
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(family, packed)


def _owners(inodes: Set[int]) -> Dict[int, int]:
    """Return a process for each socket, of those into which this user may look."""
    owners: Dict[int, int] = {}
    for pid in _pids():
        for inode in inodes & sockets_of(pid):
            # A server's workers share its socket; the server itself came first.
            owners.setdefault(inode, pid)
    return owners


def _pids() -> List[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def _family(root: int) -> Set[int]:
    """Return a process and all its descendants."""
    parents = {pid: _parent(pid) for pid in _pids()}
    family = {root}
    size = 0
    while size != len(family):
        size = len(family)
        family |= {pid for pid, parent in parents.items() if parent in family}
    return family


def _parent(pid: int) -> int:
    # The name of the command, in parentheses, may contain anything.
    fields = _text(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _text(pid: Optional[int], name: str) -> str:
    if pid is None:
        return ""
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            return file.read(_LONGEST_COMMAND).decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""
