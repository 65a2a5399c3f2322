"""The kernels that run already when somebody asks for one."""

from __future__ import annotations

import asyncio
import os
from typing import Awaitable, Callable, Dict, List, Mapping, Optional

from . import linux
from .process import Newborn
from .settings import Settings
from .wire import RequestError, say

#: After a start, the new kernel's first cell comes before the next warm kernel.
_PAUSE = 0.3
#: A kernel that is nearly ready takes a fraction of this; one that hangs is not waited for.
_NEARLY = 2.0
#: An idle kernel takes some 20 MB of its own; a framework may take many times that.
_LEAST_MEMORY = 512 * 1024 * 1024
_LEAST_MEMORY_TO_PRELOAD = 4 * 1024 * 1024 * 1024
#: Variables with which a kernel begins differently; one that runs already never saw them.
_DECISIVE = ("IPYTHON", "JUPYTER", "PYTHON", "HOME", "XDG_", "MPL", "OMP_", "MKL_", "CUDA_")


class Pool:
    """Warm kernels, made one after the other.

    Args:
        make: Returns a warm kernel, given what it shall import.
    """

    def __init__(
        self, settings: Settings, make: "Callable[[List[str]], Awaitable[Newborn]]"
    ) -> None:
        self._settings = settings
        self._make = make
        self._ready: List[Newborn] = []
        #: Files that a kernel reads when it begins, and when each was changed last.
        self._read: Dict[str, int] = {}
        self._preload = settings.preload
        self._filling: "Optional[asyncio.Task[None]]" = None
        #: One that is sooner ready than any that is begun now.
        self._nearly: "Optional[asyncio.Future[Newborn]]" = None

    def fill(self) -> None:
        """Begin to make what is missing, in a moment."""
        if self._filling is None or self._filling.done():
            self._filling = asyncio.ensure_future(self._fill())

    async def take(self, env: Mapping[str, str]) -> Optional[Newborn]:
        """Return a warm kernel that somebody with these variables can have, if there is one."""
        if any(name.startswith(_DECISIVE) for name in env):
            return None
        nearly, self._nearly = self._nearly, None
        if nearly is not None:
            # Only one waits for it: all others would be later than without.
            await asyncio.wait([nearly], timeout=_NEARLY)
        if self._ready and self._read != _configuration():
            self.clear()
        while self._ready:
            newborn = self._ready.pop(0)
            if not newborn.kernel.ended.is_set():
                return newborn
        return None

    def clear(self) -> None:
        """End all of them, and the one that is being made; forget which imports failed."""
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        while self._ready:
            self._ready.pop().close(kill=True)
        self._preload = self._settings.preload

    def give_up_import(self, failed: Mapping[str, str]) -> None:
        """Do not try again what could not be imported."""
        for name, reason in failed.items():
            say("%s cannot be imported ahead: %s" % (name, reason))
        self._preload = [name for name in self._preload if name not in failed]

    async def _fill(self) -> None:
        await asyncio.sleep(_PAUSE)
        self._ready = [n for n in self._ready if not n.kernel.ended.is_set()]
        while len(self._ready) < self._settings.size:
            left = linux.memory_left()
            if left < _LEAST_MEMORY:
                say("no warm kernel: %d MB of memory are left" % (left // 1024**2))
                return
            preload = self._preload if left >= _LEAST_MEMORY_TO_PRELOAD else []
            if not self._ready:
                self._read = _configuration()
            making = asyncio.ensure_future(self._make(preload))
            # Imports may take any time.
            self._nearly = None if preload else making
            try:
                self._ready.append(await making)
            except (RequestError, OSError) as error:
                detail = getattr(error, "detail", "").strip().splitlines()[-1:]
                say("no warm kernel: %s" % " ".join([str(error), *detail]))
                if not preload:
                    # Whoever asks for a kernel is told, and the next start tries again.
                    return
                say("kernels start without %s" % ", ".join(preload))
                self._preload = []
            finally:
                self._nearly = None


def _configuration() -> Dict[str, int]:
    home = os.environ.get("IPYTHONDIR") or os.path.join(os.path.expanduser("~"), ".ipython")
    profile = os.path.join(home, "profile_default")
    found = {}
    for directory in (profile, "/etc/ipython", "/usr/local/etc/ipython"):
        for name in ("ipython_config", "ipython_kernel_config"):
            for suffix in (".py", ".json"):
                path = os.path.join(directory, name + suffix)
                try:
                    found[path] = os.stat(path).st_mtime_ns
                except OSError:
                    continue
    return found
