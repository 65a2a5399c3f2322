"""The five channels of a kernel, passed on between a client's sockets and the kernel's own.

Messages are not looked into: signatures and identities stay as they are, so the kernel
answers the client that asked, and what is wrong with a message the kernel says itself.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping

import zmq

from ...errors import KernelStartError

#: What a client that has fallen asleep may leave unread before outputs are dropped.
_OUTPUTS = 100_000
#: Channels that are quiet for so long have nothing more to say, once the kernel has ended.
_QUIET_MS = 50
#: As a subscriber says that it wants to hear all.
_EVERYTHING = b"\x01"
_LAST_WORDS = 2.0
_LINGER_MS = 1000
#: So long a client that has connected may take to say what it wants to hear.
_SUBSCRIBING = 2.0


class Relay:
    """Listens at once, so that nobody takes the ports; passes on from ``start`` to ``close``."""

    def __init__(self, listen: Mapping[str, str]) -> None:
        self._context = zmq.Context()
        self._fronts: dict[str, zmq.Socket[bytes]] = {}
        self._wake: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        self._wake.bind("inproc://stop")
        self._thread: threading.Thread | None = None
        try:
            for channel, endpoint in listen.items():
                front = self._fronts[channel] = _front(self._context, channel)
                front.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise KernelStartError(
                f"The kernel cannot listen at {endpoint}.",
                hint="Start it again: another program took the port meanwhile.",
                detail=str(error),
            ) from error

    def start(self, kernel: Mapping[str, str]) -> None:
        """Connect to a kernel that listens already, and pass everything on."""
        # Input is asked for on stdin at the address from which shell was spoken to.
        identity = secrets.token_hex(8).encode()
        pairs = []
        for channel, endpoint in kernel.items():
            back = _back(self._context, channel, identity)
            back.connect(endpoint)
            if channel == "iopub":
                # Not only when a client's own wish has come through: what the kernel says to the
                # first request would be lost before that, and a console waits for it for ever.
                back.send(_EVERYTHING)
            pairs.append((self._fronts[channel], back))
        self._thread = threading.Thread(target=self._run, args=(pairs,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pass on what the kernel has said last, and end; takes a second at most."""
        if self._thread is not None:
            self._wake.send(b"")
            self._thread.join(_LAST_WORDS + 1)
        self._context.destroy(linger=_LINGER_MS)

    def _run(self, pairs: list[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]) -> None:
        stop: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        stop.connect("inproc://stop")
        others = {a: b for front, back in pairs for a, b in ((front, back), (back, front))}
        poller = zmq.Poller()
        for each in (stop, *others):
            poller.register(each, zmq.POLLIN)
        shell, iopub = self._fronts["shell"], self._fronts["iopub"]
        # A client's sockets connect one by one.  One that asks before it can hear the answer would
        # miss it, and may wait for it for ever: its first request is kept until it listens.
        poller.unregister(shell)
        held = time.monotonic() + _SUBSCRIBING
        until = 0.0
        while not until or time.monotonic() < until:
            ready = dict(poller.poll(_QUIET_MS if until or held else None))
            if held and (iopub in ready or until or time.monotonic() > held):
                held = 0.0
                poller.register(shell, zmq.POLLIN)
            if stop in ready:
                stop.recv()
                until = time.monotonic() + _LAST_WORDS
            elif until and not ready:
                break
            for each, other in others.items():
                if each in ready:
                    _pass_on(each, other)


def _pass_on(source: zmq.Socket[bytes], target: zmq.Socket[bytes]) -> None:
    """Pass on what is there, but not so much that the other channels wait."""
    for _ in range(100):
        try:
            frames = source.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        target.send_multipart(frames, copy=False)


def _front(context: zmq.Context[zmq.Socket[bytes]], channel: str) -> zmq.Socket[bytes]:
    front = context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER)
    front.linger = _LINGER_MS
    if channel == "iopub":
        # A kernel greets each client that listens, not only the first.
        front.setsockopt(zmq.XPUB_VERBOSE, 1)
        front.sndhwm = _OUTPUTS
    else:
        # As kernels do: a client that comes back takes the place of its former self.
        front.router_handover = 1
    return front


def _back(
    context: zmq.Context[zmq.Socket[bytes]], channel: str, identity: bytes
) -> zmq.Socket[bytes]:
    back = context.socket(zmq.XSUB if channel == "iopub" else zmq.DEALER)
    back.linger = 0
    if channel == "iopub":
        back.rcvhwm = _OUTPUTS
    else:
        back.identity = identity
    return back
