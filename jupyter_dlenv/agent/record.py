"""What a kernel said lately, for a server that was away when it was said.

ZeroMQ drops what nobody listens to: output is lost while no server is connected, and so is
a reply whose asker is gone.  So the kernel keeps the last of what it sent on any channel,
and tells it to whoever connects to ``PREFIX-6``:

- one line of JSON: ``{"state": "busy", "dropped": 0, "messages": 17}``,
- and for each message one byte for the channel, the number of its frames, and each frame
  after its length (all numbers are four bytes, big-endian).
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import socket
import struct
import threading
from typing import Any, Deque, List, Set, Tuple

from .activity import Activity

#: The first byte of a message tells its channel.
CHANNELS = ("shell", "iopub", "stdin", "control")
_MOST_BYTES = 16 * 1024 * 1024
_MOST_MESSAGES = 20000
#: A larger one is not kept: it would push out everything else.
_LARGEST = 4 * 1024 * 1024
_PATIENCE = 30.0
#: Requests that programs make by themselves; serving one does not make a kernel busy.
_UNTRACKED = ("kernel_info_request", "comm_info_request", "interrupt_request", "debug_request")


class Recorder:
    """Keeps the last messages of one kernel, up to 16 MiB."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        #: The requests that are being served.
        self._served: Set[str] = set()
        self._messages: Deque[Tuple[int, List[bytes]]] = collections.deque()
        self._size = 0
        self._dropped = 0
        self._state = "idle"
        self._lock = threading.Lock()

    def watch(self, app: Any) -> None:
        """Keep what a kernel sends from now on."""
        recorder = self
        base: Any = type(app.shell_socket)

        class Recorded(base):  # type: ignore[misc]
            channel = 0

            def send_multipart(self, msg_parts: Any, *args: Any, **kwargs: Any) -> Any:
                recorder.keep(self.channel, msg_parts)
                return super().send_multipart(msg_parts, *args, **kwargs)

        sockets = (
            app.shell_socket,
            app.iopub_thread.socket,
            app.stdin_socket,
            app.control_socket,
        )
        for channel, watched in enumerate(sockets):
            # The sockets are in many hands by now; a class of the same layout is the one
            # place where everything that is sent passes.
            watched.__class__ = type("Recorded", (Recorded,), {"channel": channel})

    def keep(self, channel: int, parts: Any) -> None:
        """Keep one message."""
        try:
            if CHANNELS[channel] != "iopub" and bytes(parts[0])[:1] == b"\0":
                # An asker without a name of its own cannot come back for it.
                return
            size = sum(len(memoryview(part).cast("B")) for part in parts)
            if size > _LARGEST:
                with self._lock:
                    self._dropped += 1
                return
            message = [bytes(part) for part in parts]
        except (TypeError, ValueError, IndexError):
            return
        if CHANNELS[channel] == "iopub":
            if message[0].endswith(b"status"):
                self._note_state(message)
            else:
                self._activity.note(busy=bool(self._served))
        with self._lock:
            self._messages.append((channel, message))
            self._size += size
            while self._size > _MOST_BYTES or len(self._messages) > _MOST_MESSAGES:
                _, oldest = self._messages.popleft()
                self._size -= sum(map(len, oldest))
                self._dropped += 1

    def serve(self, path: str) -> None:
        """Tell what is kept to whoever connects to a unix socket."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(8)
        thread = threading.Thread(target=self._serve, args=(listener,), name="dlenv record")
        thread.daemon = True
        # A debugger must not stop it.
        thread.pydev_do_not_trace = True  # type: ignore[attr-defined]
        thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
        thread.start()

    def _note_state(self, message: List[bytes]) -> None:
        # Topic, delimiter, signature, header, parent, metadata, content.
        with contextlib.suppress(ValueError, IndexError, KeyError, TypeError):
            parent = json.loads(message[4])
            if parent.get("msg_type") in _UNTRACKED:
                return
            self._state = json.loads(message[6])["execution_state"]
            # Subshells serve several requests at once.
            if self._state == "busy":
                self._served.add(parent["msg_id"])
            else:
                self._served.discard(parent.get("msg_id"))
            self._activity.note(busy=bool(self._served))

    def _serve(self, listener: socket.socket) -> None:
        own = os.getpid()
        while True:
            try:
                asker, _ = listener.accept()
            except OSError:
                return
            if os.getpid() != own:
                return
            # One after the other; whoever does not read in time is left.
            with asker, contextlib.suppress(OSError):
                asker.settimeout(_PATIENCE)
                asker.sendall(self._all())

    def _all(self) -> bytes:
        with self._lock:
            messages = list(self._messages)
            facts = {"state": self._state, "dropped": self._dropped, "messages": len(messages)}
        pieces = [json.dumps(facts).encode() + b"\n"]
        for channel, message in messages:
            pieces.append(struct.pack("!BI", channel, len(message)))
            for part in message:
                pieces.append(struct.pack("!I", len(part)))
                pieces.append(part)
        return b"".join(pieces)
