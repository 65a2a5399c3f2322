"""What inside an environment can be connected to: ports, sockets, and programs known by name.

The set is closed.  A port is one of this environment, wherever in it somebody listens, never
one of another machine; a program is known by its name alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from typing import Any, Dict, Iterable, Tuple

from . import listeners
from .wire import RequestError

#: The scripts, in the agent's own directory, that become the programs.
PROGRAMS = {"sshd": "ssh-stream"}
_CONNECT_LIMIT = 10.0
_LONGEST_PATH = 107
#: Where a port answers as a rule: on loopback, which who listens on all addresses hears too.
_USUAL = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


async def connect(target: Dict[str, Any], directory: str) -> socket.socket:
    """Return a connected stream socket, not blocking.

    Args:
        directory: The agent's own.
        target: One of ``{"tcp": PORT}``, ``{"unix": PATH}`` and ``{"program": NAME}``.

    Raises:
        RequestError: Nothing is there, or it is none of these.
    """
    if set(target) == {"tcp"}:
        return await _connect_port(target["tcp"])
    if set(target) == {"unix"}:
        return await _connect_path(target["unix"])
    if set(target) == {"program"}:
        return _start(target["program"], directory)
    raise RequestError("bad-request", "A target is one of tcp, unix and program.")


async def _connect_port(port: Any) -> socket.socket:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise RequestError("bad-request", "tcp is a port.")
    try:
        return await _first(_USUAL, port)
    except OSError as error:
        # The table takes the system tens of milliseconds, so only who needs it waits for it.
        loop = asyncio.get_running_loop()
        others = [
            (listener.family, listener.address)
            for listener in await loop.run_in_executor(None, listeners.listening)
            if listener.port == port and not listener.any_address
        ]
        with contextlib.suppress(OSError):
            return await _first(others, port)
        message = "Nothing answers on port %d." % port
        raise RequestError("target-refused", message, str(error)) from error


async def _first(hosts: Iterable[Tuple[int, str]], port: int) -> socket.socket:
    failure = None
    for family, host in hosts:
        try:
            connected = await _connect(family, (host, port))
        except OSError as error:
            failure = failure or error
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    raise failure or OSError("nobody listens")


async def _connect_path(path: Any) -> socket.socket:
    if not isinstance(path, str) or not os.path.isabs(path) or "\0" in path:
        raise RequestError("bad-request", "unix is an absolute path.")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise RequestError("bad-request", "No socket can have a path that long.")
    try:
        return await _connect(socket.AF_UNIX, path)
    except OSError as error:
        raise RequestError("target-refused", "Nothing answers at %s." % path, str(error)) from error


async def _connect(family: int, address: Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.sock_connect(connecting, address), _CONNECT_LIMIT)
    except asyncio.TimeoutError as error:
        connecting.close()
        raise OSError("no answer in %d s" % _CONNECT_LIMIT) from error
    except BaseException:
        connecting.close()
        raise
    return connecting


def _start(name: Any, directory: str) -> socket.socket:
    if str(name) not in PROGRAMS:
        raise RequestError("bad-request", "There is no program of that name.")
    script = os.path.join(directory, PROGRAMS[name])
    if not os.path.exists(script):
        raise RequestError("target-refused", "The environment has no %s." % name)
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                # Not the script itself: the directory may be mounted without the right to execute.
                ["/bin/sh", script],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                # What it says of failures goes to the log of the environment.
                stderr=None,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise RequestError("target-refused", "%s cannot run." % name, str(error)) from error
    # The supervisor reaps every child of its process; subprocess has nothing left to wait for.
    process.returncode = 0
    ours.setblocking(False)
    return ours
