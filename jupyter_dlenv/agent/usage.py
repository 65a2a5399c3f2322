"""What processes and connections of an environment do, as far as the system tells.

Open is not used: a terminal counts when something was typed or printed, a connection when more
passes than what keeps it alive, a process when it computes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from . import listeners

_TICKS = os.sysconf("SC_CLK_TCK")
#: Of one core; what waits for somebody takes less, even a development environment's server.
_COMPUTES = 0.2
#: Bytes a second; keep-alives and heartbeats are less.
_TRICKLE = 256.0
#: What a terminal's device notes of being used is this coarse.
_PTS_MAJORS = range(136, 144)

_SOCK_DIAG_BY_FAMILY = 20
_DUMP = 0x301
_DONE, _ERROR = 3, 2
_TCP_INFO = 2
_ESTABLISHED = 1 << 1
_HEADER = struct.Struct("=IHHII")


class Process:
    """What ``/proc`` says of one process."""

    def __init__(self, pid: int, parent: int, tty: int, ticks: int, name: str) -> None:
        self.pid = pid
        self.parent = parent
        self.tty = tty
        self.ticks = ticks
        self.name = name


class Usage:
    """Compares each look with the one before.

    Args:
        root: Only this process and those below it count; ``None`` where all processes that can be
            seen are the environment's.
    """

    def __init__(self, root: Optional[int]) -> None:
        self._root = root
        self._looked = time.monotonic()
        self._ticks: Dict[int, int] = {}
        self._ssh: Dict[int, int] = {}
        self._passed: Dict[Tuple[int, int], int] = {}

    def look(self, unused: Set[int]) -> List[Tuple[str, float]]:
        """Return what was used and for how many seconds it has not been since.

        Blocks for a moment, and belongs in a thread.

        Args:
            unused: Processes that are ours and nobody's.
        """
        processes = {p.pid: p for p in _processes() if p.pid not in unused}
        if self._root is not None:
            family = _family(self._root, processes)
            processes = {pid: p for pid, p in processes.items() if pid in family}
        now = time.monotonic()
        seconds, self._looked = max(now - self._looked, 0.001), now
        used = [("terminal", idle) for idle in _terminals(processes.values())]
        if self._computed(processes, seconds):
            used.append(("process", 0.0))
        if self._ssh_passed(processes, seconds):
            used.append(("ssh", 0.0))
        if self._connections_passed(processes, seconds):
            used.append(("connection", 0.0))
        return used

    def _computed(self, processes: Dict[int, Process], seconds: float) -> bool:
        before, self._ticks = self._ticks, {p.pid: p.ticks for p in processes.values()}
        # What a new process has computed so far may be older than the last look.
        spent = sum(ticks - before[pid] for pid, ticks in self._ticks.items() if pid in before)
        return spent / _TICKS / seconds > _COMPUTES

    def _ssh_passed(self, processes: Dict[int, Process], seconds: float) -> bool:
        before, self._ssh = self._ssh, {}
        for process in processes.values():
            if process.name.startswith("sshd"):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    self._ssh[process.pid] = _bytes_read(process.pid)
        return any(
            (count - before.get(pid, count)) / seconds > _TRICKLE
            for pid, count in self._ssh.items()
        )

    def _connections_passed(self, processes: Dict[int, Process], seconds: float) -> bool:
        served = {listener.port for listener in listeners.listening()}
        before, self._passed = self._passed, {}
        own = None
        for family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                for port, peer, inode, count in _connections(family):
                    if port in served:
                        self._passed[(inode, peer)] = count
        busy = [
            inode
            for (inode, peer), count in self._passed.items()
            if (count - before.get((inode, peer), 0)) / seconds > _TRICKLE
        ]
        if busy and self._root is not None:
            own = {inode for pid in processes for inode in listeners.sockets_of(pid)}
        return any(own is None or inode in own for inode in busy)


def _bytes_read(pid: int) -> int:
    with open("/proc/%d/io" % pid) as file:
        return int(file.readline().split()[1])


def _processes() -> Iterator[Process]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open("/proc/%s/stat" % name, "rb") as file:
                    # The name of the command, in parentheses, may contain anything.
                    command, _, rest = file.read().rpartition(b")")
                fields = rest.split()
                yield Process(
                    pid=int(name),
                    parent=int(fields[1]),
                    tty=int(fields[4]),
                    ticks=int(fields[11]) + int(fields[12]),
                    name=command.partition(b"(")[2].decode("utf-8", "replace"),
                )


def _family(root: int, processes: Dict[int, Process]) -> Set[int]:
    family = {root}
    size = 0
    while size != len(family):
        size = len(family)
        family |= {pid for pid, p in processes.items() if p.parent in family}
    return family


def _terminals(processes: Iterable[Process]) -> Iterator[float]:
    """Yield for how many seconds nothing was typed or printed, for each terminal."""
    for tty in {p.tty for p in processes}:
        major, minor = (tty >> 8) & 0xFFF, (tty & 0xFF) | ((tty >> 12) & 0xFFF00)
        if major not in _PTS_MAJORS:
            continue
        with contextlib.suppress(OSError):
            found = os.stat("/dev/pts/%d" % (minor + 256 * (major - _PTS_MAJORS[0])))
            yield max(0.0, time.time() - max(found.st_atime, found.st_mtime))


def _connections(family: int) -> Iterator[Tuple[int, int, int, int]]:
    """Yield the own port, the peer's, the inode and the bytes passed of each open connection.

    Raises:
        OSError: The system does not tell.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 4) as asking:
        asking.settimeout(2)
        request = struct.pack(
            "=BBBBI48x", family, socket.IPPROTO_TCP, 1 << (_TCP_INFO - 1), 0, _ESTABLISHED
        )
        head = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 1, 0)
        asking.send(head + request)
        while True:
            data = asking.recv(1 << 17)
            while len(data) >= _HEADER.size:
                length, kind = _HEADER.unpack_from(data)[:2]
                if kind in (_DONE, _ERROR):
                    return
                found = _connection(data[_HEADER.size : length])
                if found is not None:
                    yield found
                data = data[(length + 3) & ~3 :]


def _connection(message: bytes) -> Optional[Tuple[int, int, int, int]]:
    # family, state, timer, retrans; sport, dport (network order), 32 bytes of addresses,
    # interface, cookie; expires, rqueue, wqueue, uid, inode; then attributes.
    port, peer = struct.unpack_from(">HH", message, 4)
    (inode,) = struct.unpack_from("=I", message, 68)
    attributes = message[72:]
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == _TCP_INFO and length >= 4 + 136:
            acked, received = struct.unpack_from("=QQ", attributes, 4 + 120)
            return port, peer, inode, acked + received
        attributes = attributes[max(4, (length + 3) & ~3) :]
    return None
