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
from typing import Any, BinaryIO, Dict, List, Type

from . import linux, record
from .activity import Activity
from .wire import encode

#: shell, iopub, stdin, control, heartbeat, record, activity: ``PREFIX-1`` to ``PREFIX-7``.
FILES = 7
RECORD, ACTIVITY = 6, 7
_BIND_LIMIT = 30.0
#: What a client may leave unread.
_MOST_OUTPUTS = 50000


def wait_for_adoption(parent: int) -> None:
    """Return once the process that forked this one is gone; it exits at once."""
    while os.getppid() == parent:
        time.sleep(0.0005)


def run(channel: socket.socket) -> None:
    """Be the kernel that the supervisor describes on the channel, until it is shut down.

    A warm one gets ready for anybody first, and waits for the second line, which says whose
    it is.  Whatever of the user's runs by itself, such as start-up files, waits as well.
    """
    linux.die_with_parent()
    os.setsid()
    channel.sendall(encode({"pid": os.getpid()}))
    # From here on the supervisor knows the pid, so it will see this process end.
    with channel.makefile("rb") as lines:
        request = _read(lines)
        if not request:
            return
        _redirect(request["log"])
        try:
            _reset()
            if not request["warm"]:
                _settle(request)
            app = _initialize(request)
            channel.sendall(encode({"bound": True}))
            if request["warm"]:
                channel.sendall(encode({"preloaded": _preload(request["preload"])}))
                request = _read(lines)
                if not request:
                    return
                _hand_over(app, request)
                channel.sendall(encode({"handed_over": True}))
        except BaseException:  # noqa: BLE001  SystemExit too: traitlets exits on bad configuration
            traceback.print_exc()
            sys.exit(1)
    channel.close()
    app.start()


def _read(lines: BinaryIO) -> Dict[str, Any]:
    line = lines.readline()
    request: Dict[str, Any] = json.loads(line) if line else {}
    return request


def _redirect(log: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(null)
    os.close(output)


def _reset() -> None:
    """Undo what is shared with the zygote and all its other kernels."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.environ.pop("JPY_PARENT_PID", None)
    os.environ.pop("JPY_SESSION_NAME", None)


def _settle(request: Dict[str, Any]) -> None:
    """Take on the variables and the directory of whoever asked, and luck of one's own."""
    os.environ.update(request["env"])
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
    _write_connection_file(prefix, request["key"])
    sys.argv = ["ipykernel_launcher", "-f", prefix + ".json"]
    app = _app_class(warm=request["warm"]).instance()
    app.initialize(sys.argv[1:])
    recorder = record.Recorder(Activity("%s-%d" % (prefix, ACTIVITY), request["socket_mode"]))
    recorder.watch(app)
    recorder.serve("%s-%d" % (prefix, RECORD))
    for channel in range(1, FILES + 1):
        path = "%s-%d" % (prefix, channel)
        _wait_for(path)
        os.chmod(path, request["socket_mode"])
    return app


def _app_class(warm: bool) -> Type[Any]:
    from ipykernel.kernelapp import IPKernelApp

    base: Any = IPKernelApp

    class App(base):  # type: ignore[misc]
        def init_iopub(self, context: Any) -> None:
            # ZeroMQ drops what is over its 1000 messages: on a busy machine a loop that prints
            # is faster than whoever listens, and the word that a cell has ended was lost too.
            context.sndhwm = _MOST_OUTPUTS
            super().init_iopub(context)

        def log_connection_info(self) -> None:
            # The original also fills the log with advice for those who start one in a terminal.
            names = ("shell", "iopub", "stdin", "hb", "control")
            self._ports = {name: getattr(self, name + "_port") for name in names}

    class WarmApp(App):
        """Leaves out what runs code of the user, whose variables and directory are unknown."""

        def init_gui_pylab(self) -> None:
            pass

        def init_extensions(self) -> None:
            pass

        def init_code(self) -> None:
            pass

        def finish(self) -> None:
            super().init_gui_pylab()
            super().init_extensions()
            super().init_code()
            sys.stdout.flush()
            sys.stderr.flush()

    return WarmApp if warm else App


def _preload(modules: List[str]) -> Dict[str, str]:
    """Import modules; return the reasons for those that cannot be, and leave no GPU open."""
    failed = {}
    if modules:
        # As ipykernel says it later: matplotlib asks when it loads, and never draws again if
        # nobody has said where to.
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  whatever a foreign module does
            failed[name] = "%s: %s" % (type(error).__name__, error)
            traceback.print_exc()
    if modules and linux.uses_gpu():
        # It would hold memory of a GPU that nobody has asked for.
        raise RuntimeError("importing %s opened a GPU" % ", ".join(modules))
    return failed


def _hand_over(app: Any, request: Dict[str, Any]) -> None:
    """Turn a warm kernel into the one that somebody asked for."""
    before, prefix = app.connection_file[: -len(".json")], request["prefix"]
    _redirect(request["log"])
    _settle(request)
    app.session.key = request["key"].encode()
    os.unlink(before + ".json")
    if prefix != before:
        for channel in range(1, FILES + 1):
            # Whoever connects finds the socket by its new name; those connected notice nothing.
            os.rename("%s-%d" % (before, channel), "%s-%d" % (prefix, channel))
        app.ip = prefix
    _write_connection_file(prefix, request["key"])
    app.connection_file = prefix + ".json"
    sys.argv[2:] = [app.connection_file]
    if "JPY_SESSION_NAME" in os.environ:
        app.shell.user_ns["__session__"] = os.environ["JPY_SESSION_NAME"]
    app.finish()


def _write_connection_file(prefix: str, key: str) -> None:
    info = {
        "transport": "ipc",
        "ip": prefix,
        "shell_port": 1,
        "iopub_port": 2,
        "stdin_port": 3,
        "control_port": 4,
        "hb_port": 5,
        "key": key,
        "signature_scheme": "hmac-sha256",
        "kernel_name": "",
    }
    descriptor = os.open(prefix + ".json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        json.dump(info, file)


def _wait_for(path: str) -> None:
    # The heartbeat binds in a thread of its own, some time after ``initialize`` has returned.
    limit = time.monotonic() + _BIND_LIMIT
    while not os.path.exists(path):
        if time.monotonic() > limit:
            raise TimeoutError("%s was not bound" % path)
        time.sleep(0.002)
