"""One look at the GPUs for all who want to see them, in a thread, and none while nobody does."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator
from typing import Protocol

from .inventory import DriverState, Inventory

_log = logging.getLogger(__name__)
#: Seconds for which a driver may be silent; upgrades and broken GPUs make it hang for ever.
_PATIENCE = 15.0
_CLOSED = Inventory(driver_state=DriverState.ERROR, message="Nobody reads the GPUs any more.")


class Reader(Protocol):
    """What reads the GPUs; it blocks, and is used by one thread at a time."""

    def read(self) -> Inventory: ...
    def close(self) -> None: ...


class GpuPoller:
    """Reads the GPUs while somebody looks.

    The thread ends, and lets the driver go, a while after the last one has left.

    Args:
        interval: Seconds between two readings.
        linger: Seconds for which the driver stays open when nobody looks: opening it is slow.
        patience: Seconds after which a silent driver is shown as such.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        interval: float = 2.0,
        linger: float = 30.0,
        patience: float = _PATIENCE,
    ) -> None:
        self._reader = reader
        self._interval = interval
        self._linger = linger
        self._patience = patience
        self._changed = threading.Condition()
        self._lookers: set[_Looker] = set()
        self._urgent = False
        self._closed = False
        self._thread: threading.Thread | None = None

    async def read(self) -> Inventory:
        """Return the GPUs as they are now: no reading that had begun before is used."""
        looker = self._enter()
        try:
            return await self._next(looker)
        finally:
            self._leave(looker)

    async def watch(self) -> AsyncGenerator[Inventory, None]:
        """Yield the GPUs, now and after each interval; who is slow misses some.

        Close it (``contextlib.aclosing``), so that it is known that nobody looks any more.
        """
        looker = self._enter()
        try:
            while not self._closed:
                yield await self._next(looker)
        finally:
            self._leave(looker)

    async def aclose(self) -> None:
        """Send all who look away, and let the driver go; one that hangs is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
            lookers = set(self._lookers)
        for looker in lookers:
            looker.give(_CLOSED)
        if thread is not None:
            await asyncio.to_thread(thread.join, 2.0)

    def _enter(self) -> _Looker:
        looker = _Looker()
        with self._changed:
            self._lookers.add(looker)
            self._urgent = True
            self._changed.notify_all()
            if self._closed:
                looker.give(_CLOSED)
            elif self._thread is None:
                # It must not keep the process alive when the driver hangs.
                self._thread = threading.Thread(target=self._run, name="gpus", daemon=True)
                self._thread.start()
        return looker

    def _leave(self, looker: _Looker) -> None:
        with self._changed:
            self._lookers.discard(looker)
            self._changed.notify_all()

    async def _next(self, looker: _Looker) -> Inventory:
        try:
            return await asyncio.wait_for(looker.next(), self._interval + self._patience)
        except asyncio.TimeoutError:
            return Inventory(
                driver_state=DriverState.ERROR,
                message=f"The NVIDIA driver has not answered for {self._patience:.0f} s. "
                "A GPU may be broken: see `dmesg`, and reboot the machine if it stays so.",
                taken=time.time(),
            )

    def _run(self) -> None:
        while self._await_lookers():
            with self._changed:
                self._urgent = False
                waiting = set(self._lookers)
            inventory = self._read()
            for looker in waiting:
                looker.give(inventory)
            with self._changed:
                self._changed.wait_for(
                    lambda: self._urgent or self._closed or not self._lookers, self._interval
                )

    def _await_lookers(self) -> bool:
        """Wait for somebody to look; or close the driver, and tell that the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lookers or self._closed, self._linger)
            if self._lookers and not self._closed:
                return True
        # Not under the lock, which event loops take too: the driver may be slow here.
        self._reader.close()
        with self._changed:
            if self._lookers and not self._closed:
                return True
            self._thread = None
            return False

    def _read(self) -> Inventory:
        try:
            return self._reader.read()
        except Exception as error:  # noqa: BLE001 the edge of the thread
            _log.exception("The GPUs could not be read.")
            return Inventory(
                driver_state=DriverState.ERROR,
                message=f"The GPUs could not be read: {error}",
                taken=time.time(),
            )


class _Looker:
    """Somebody on an event loop, who wants the newest reading only."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._inventory = Inventory()

    def give(self, inventory: Inventory) -> None:
        """Hand over a reading, from another thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, inventory)
        except RuntimeError:
            # The loop was closed while somebody looked.
            _log.debug("Nobody took a reading of the GPUs.")

    def _take(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._arrived.set()

    async def next(self) -> Inventory:
        await self._arrived.wait()
        self._arrived.clear()
        return self._inventory
