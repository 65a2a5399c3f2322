"""A machine with GPUs to launch on: a driver for us, and GPUs that the engine can give."""

from __future__ import annotations

import pytest

from . import ask, engine
from .nvml import FakeNvml, gpu_uuid
from .nvml_reader import RemoteReader
from .profiles import MODERN, pretend_gpus
from .shell import until


class FakeReader:
    """Reads the pretended GPUs through the real reader, in a process that has the library."""

    def __init__(self, fake: FakeNvml) -> None:
        self._remote = RemoteReader(fake)
        self._ended = False

    def read(self):
        return self._remote.inventory()

    def close(self) -> None:
        if not self._ended:
            self._remote.tell("close")

    def end(self) -> None:
        self._ended = True
        self._remote.__exit__()


def hook_directory() -> str:
    """Return where dockerd finds NVIDIA's hook; there we have to look for it, too."""
    return str(MODERN.directory / "hook")


def let_the_engine_have_gpus(url: str) -> None:
    """Make the tests' own engine pretend to have eight GPUs, by CDI and by NVIDIA's hook."""
    if not engine.started_by_rig(url) or url != MODERN.url:
        pytest.skip("GPUs are pretended on the tests' own engine only.")
    if not _has_gpus():
        pretend_gpus(MODERN)
        # It notices what is written into its directory, but not what is moved there.
        with (MODERN.directory / "cdi/eight.json").open("a") as file:
            file.write("\n")
        for _ in until(20, "the engine to see the pretended GPUs"):
            if _has_gpus():
                break


def _has_gpus() -> bool:
    found = ask.get(MODERN.socket, "/info").get("DiscoveredDevices") or ()
    return {"nvidia.com/gpu=all", f"nvidia.com/gpu={gpu_uuid(7)}"} <= {d["ID"] for d in found}


async def said(environments, name, script):
    """Return what a shell script prints in an environment."""
    stream = await environments.open_stream(name, ("/bin/sh", "-c", script))
    try:
        await stream.close_stdin()
        text = b""
        while (frame := await stream.read())[0]:
            text += frame[1]
        return text.decode()
    finally:
        await stream.aclose()
