"""The relay where no socket can be shared with the host: over standard input and output.

An engine starts ``python FOLDER --relay DIRECTORY '{"tcp": 6006}'`` and holds both streams.  The
answer is the line of ``relay.py``; after it everything is in frames: four bytes of length, and
the bytes.  A frame of no bytes ends a direction, because not every engine can end only one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
from typing import List

from . import targets
from .wire import RequestError, decode, encode

_LENGTH = struct.Struct(">I")
_PIECE = 64 * 1024


def main(argv: List[str]) -> int:
    """Pass on both directions until both have ended; return the exit code."""
    try:
        directory, request = argv
        target = asyncio.run(targets.connect(decode(request.encode()), directory))
    except RequestError as error:
        _write(encode({"error": error.to_json()}))
        return 1
    target.setblocking(True)
    _write(encode({"ok": {}}))
    inwards = threading.Thread(target=_inwards, args=(target,), daemon=True)
    inwards.start()
    try:
        _outwards(target)
    except OSError:
        # Broken, which is not ended: the host sees that the last frame is missing.
        return 1
    inwards.join()
    return 0


def _inwards(target: socket.socket) -> None:
    try:
        while True:
            (length,) = _LENGTH.unpack(_read(_LENGTH.size))
            if length == 0:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(_read(length))
    except (OSError, EOFError):
        # The host has gone, or the target reads no more: the other direction ends with it.
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def _outwards(target: socket.socket) -> None:
    while True:
        data = target.recv(_PIECE)
        _write(_LENGTH.pack(len(data)) + data)
        if not data:
            return


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = os.read(0, count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
