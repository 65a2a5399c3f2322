"""The process that has imported ipykernel and forks kernels, so that a start costs no import.

It stays single-threaded and opens no ZeroMQ context, for neither survives a fork.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import os
import select
import site
import socket
import sys
import zlib
from typing import Dict, Iterable, List, Mapping, Optional

from . import kernel
from .wire import encode, say

#: Wanted by nearly every kernel; a missing one costs its import after the fork, no more.
#: What imports matplotlib is not among them: when it loads, matplotlib asks the kernel's variables
#: and directory where and how to draw.
_ALSO = (
    "IPython.core.completer",
    "IPython.core.debugger",
    "IPython.core.history",
    "IPython.core.magics",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "ipykernel.comm",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "jedi",
    "sqlite3",
)


def main(descriptor: int) -> None:
    """Fork a kernel for each socket that arrives on the control socket, until that closes.

    Returns in a kernel that has ended too: there the interpreter then ends as any
    kernel's does, with the user's ``atexit`` functions.
    """
    with socket.socket(fileno=descriptor) as control:
        # Taken before the imports: what is installed meanwhile counts as new.
        paths = look_at([*sys.path, *site.getsitepackages(), site.getusersitepackages()])
        importlib.import_module("ipykernel.kernelapp")
        control.sendall(encode({"ready": True, "paths": paths}))
        channel = _fork_until_closed(control)
    if channel is not None:
        kernel.run(channel)


def look_at(paths: Iterable[str]) -> Dict[str, List[int]]:
    """Return of each directory when it last changed, and a sum of what is in it.

    Installing or removing a package changes both.  Where Python has not written byte code yet,
    the time alone will change when it does; elsewhere the sum is 0, and the time tells.
    """
    return {path: [_modified(path), _sum_of_entries(path)] for path in paths if path}


def are_same(seen: Mapping[str, List[int]]) -> bool:
    """Tell whether the same packages are in directories as when they were looked at."""
    return all(
        _modified(path) == time or (entries and _sum_of_entries(path, anyhow=True) == entries)
        for path, (time, entries) in seen.items()
    )


def _sum_of_entries(path: str, *, anyhow: bool = False) -> int:
    try:
        with os.scandir(path) as found:
            # A package's own directory changes with its byte code, too.
            entries = {
                entry.name: 0 if entry.is_dir() else entry.stat().st_mtime_ns for entry in found
            }
    except OSError:
        return 0
    if entries.pop("__pycache__", None) is not None and not anyhow:
        return 0
    return zlib.crc32(repr(sorted(entries.items())).encode()) or 1


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _fork_until_closed(control: socket.socket) -> Optional[socket.socket]:
    ahead = list(_ALSO)
    while True:
        # Somebody waits for the first kernel of a new environment: it need not wait for these.
        while ahead and not select.select([control], [], [], 0)[0]:
            _import_ahead(ahead.pop(0), is_last=not ahead)
        channel = _receive(control)
        if channel is None:
            return None
        # The collector of a kernel would copy every page that it only looks at.
        gc.freeze()
        try:
            between = os.fork()
        except OSError as error:
            channel.sendall(encode({"error": "fork: %s" % error}))
            channel.close()
            continue
        if between == 0:
            return _fork_again(channel)
        os.waitpid(between, 0)
        channel.close()


def _import_ahead(module: str, *, is_last: bool) -> None:
    # Not only ImportError: what an optional package does when it loads is its own affair.
    with contextlib.suppress(Exception):
        importlib.import_module(module)
    if is_last:
        gc.collect()
        with contextlib.suppress(OSError):
            threads = len(os.listdir("/proc/self/task"))
            if threads > 1:
                say("%d threads run after the imports; kernels may hang" % threads)


def _fork_again(channel: socket.socket) -> socket.socket:
    """Leave the kernel without a parent, so that the supervisor adopts it.

    The supervisor then learns of its end at once, and it outlives this zygote.
    """
    parent = os.getpid()
    try:
        if os.fork() != 0:
            os._exit(0)
    except OSError as error:
        channel.sendall(encode({"error": "fork: %s" % error}))
        os._exit(1)
    kernel.wait_for_adoption(parent)
    return channel


def _receive(control: socket.socket) -> Optional[socket.socket]:
    # socket.recv_fds exists from Python 3.9 on.
    descriptors = array.array("i")
    data, ancillary, _, _ = control.recvmsg(1, socket.CMSG_LEN(descriptors.itemsize))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: descriptors.itemsize])
    return socket.socket(fileno=descriptors[0]) if data and descriptors else None
