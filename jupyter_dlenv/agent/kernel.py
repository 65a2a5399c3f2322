"""What a forked process does to become a kernel like any other."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict

from . import linux
from .wire import encode

#: shell, iopub, stdin, control, heartbeat: ``PREFIX-1`` to ``PREFIX-5``.
CHANNELS = 5
_BIND_LIMIT = 30.0


def wait_for_adoption(parent: int) -> None:
    """Return once the process that forked this one is gone; it exits at once."""
    while os.getppid() == parent:
        time.sleep(0.0005)


def run(channel: socket.socket) -> None:
    """Be the kernel that the supervisor describes on the channel, until it is shut down."""
    linux.die_with_parent()
    os.setsid()
    channel.sendall(encode({"pid": os.getpid()}))
    # From here on the supervisor knows the pid, so it will see this process end.
    with channel.makefile("rb") as lines:
        line = lines.readline()
    if not line:
        return
    request = json.loads(line)
    _redirect(request["log"])
    try:
        _reset(request)
        app = _initialize(request)
    except BaseException:  # noqa: BLE001  SystemExit too: traitlets exits on bad configuration
        traceback.print_exc()
        sys.exit(1)
    channel.sendall(encode({"bound": True}))
    channel.close()
    app.start()


def _redirect(log: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(null)
    os.close(output)


def _reset(request: Dict[str, Any]) -> None:
    """Undo what is shared with the zygote and all its other kernels."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.environ.update(request["env"])
    os.environ.pop("JPY_PARENT_PID", None)
    time.tzset()
    try:
        os.chdir(request["cwd"] or request["home"])
    except OSError as error:
        print("The working directory cannot be used: %s" % error, file=sys.stderr)
        os.chdir(request["home"] if os.path.isdir(request["home"]) else "/")
    importlib.invalidate_caches()
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _initialize(request: Dict[str, Any]) -> Any:
    prefix = request["prefix"]
    connection_file = prefix + ".json"
    info = {
        "transport": "ipc",
        "ip": prefix,
        "shell_port": 1,
        "iopub_port": 2,
        "stdin_port": 3,
        "control_port": 4,
        "hb_port": 5,
        "key": request["key"],
        "signature_scheme": "hmac-sha256",
        "kernel_name": "",
    }
    descriptor = os.open(connection_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        json.dump(info, file)
    sys.argv = ["ipykernel_launcher", "-f", connection_file]
    from ipykernel.kernelapp import IPKernelApp

    class App(IPKernelApp):
        def log_connection_info(self) -> None:
            # The original also fills the log with advice for those who start one in a terminal.
            names = ("shell", "iopub", "stdin", "hb", "control")
            self._ports = {name: getattr(self, name + "_port") for name in names}

    app = App.instance()
    initialize: Any = app.initialize
    initialize(sys.argv[1:])
    for channel in range(1, CHANNELS + 1):
        path = "%s-%d" % (prefix, channel)
        _wait_for(path)
        os.chmod(path, request["socket_mode"])
    return app


def _wait_for(path: str) -> None:
    # The heartbeat binds in a thread of its own, some time after ``initialize`` has returned.
    limit = time.monotonic() + _BIND_LIMIT
    while not os.path.exists(path):
        if time.monotonic() > limit:
            raise TimeoutError("%s was not bound" % path)
        time.sleep(0.002)
