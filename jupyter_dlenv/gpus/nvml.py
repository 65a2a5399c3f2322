"""Reads the GPUs of this machine from their driver; ``pynvml`` is imported at the first look."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import processes
from .inventory import DriverState, Gpu, GpuProcess, GpuState, Inventory, Link, MigDevice
from .nvml_errors import NvmlCallError, ask, attempt, call, library

#: Links by the number of the driver's nearest common ancestor of two GPUs.
_LINKS = {
    0: Link.SAME_BOARD,
    10: Link.SAME_SWITCH,
    20: Link.SWITCHES,
    30: Link.HOST_BRIDGE,
    40: Link.SAME_NODE,
}
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class NvmlReader:
    """Reads the GPUs of this machine; opened by the first reading, until ``close``.

    Everything here blocks, sometimes for seconds, so a thread calls it: one at a time.
    What the driver cannot do, and what went wrong with it, is part of what is returned.
    """

    def __init__(
        self,
        *,
        describe: Callable[[int], processes.ProcessFacts] = processes.describe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._describe = describe
        self._clock = clock
        self._nvml: Any = None
        self._open = False
        self._pause = 0.0
        self._not_before = 0.0
        self._failure = Inventory(driver_state=DriverState.ERROR)
        #: A GPU that was lost and reset is seen again only after the library was opened anew.
        self._ailing = False
        #: What a GPU was when it was healthy, by its index.
        self._known: dict[int, Gpu] = {}
        self._links: dict[tuple[int, int], Link] = {}

    def read(self) -> Inventory:
        """Return the GPUs as they are now."""
        due = self._clock() >= self._not_before
        if not self._open and not due:
            return self._failure
        if self._ailing and due:
            self.close()
        opened = not self._open
        try:
            inventory = self._read_once()
        except NvmlCallError as error:
            self._failure = Inventory(
                driver_state=error.state, message=error.message, taken=time.time()
            )
            self.close()
            self._wait_before_opening()
            return self._failure
        was_ailing = self._ailing
        self._ailing = any(g.state is not GpuState.OK for g in inventory.gpus)
        if not self._ailing:
            self._pause = self._not_before = 0.0
        elif opened or not was_ailing:
            self._wait_before_opening()
        return inventory

    def close(self) -> None:
        """Let the driver go, so that it can be upgraded; the next reading opens it again."""
        if self._open:
            self._open = False
            self._links.clear()
            attempt(self._nvml.nvmlShutdown)

    def _wait_before_opening(self) -> None:
        self._pause = min(max(_SHORTEST_PAUSE, self._pause * 2), _LONGEST_PAUSE)
        self._not_before = self._clock() + self._pause

    def _read_once(self) -> Inventory:
        self._open_library()
        try:
            return self._read()
        except NvmlCallError as error:
            if not error.uninitialized:
                raise
        # Somebody else in this process has shut it down once too often.
        self._open = False
        self._open_library()
        return self._read()

    def _open_library(self) -> None:
        if self._open:
            return
        if self._nvml is None:
            self._nvml = library()
        call(self._nvml.nvmlInit)
        self._open = True

    def _read(self) -> Inventory:
        nvml = self._nvml
        handles: dict[int, Any] = {}
        gpus: list[Gpu] = []
        seen: dict[int, processes.ProcessFacts] = {}
        for index in range(call(nvml.nvmlDeviceGetCount)):
            try:
                handle = call(nvml.nvmlDeviceGetHandleByIndex, index)
                gpu = self._gpu(index, handle, seen)
            except NvmlCallError as error:
                if error.of_the_driver:
                    raise
                gpus.append(self._unusable(index, error))
                continue
            handles[index] = handle
            gpus.append(gpu)
        healthy = {g.uuid for g in gpus if g.state is GpuState.OK}
        self._known |= {g.index: g for g in gpus if g.uuid in healthy}
        cuda = attempt(nvml.nvmlSystemGetCudaDriverVersion_v2)
        return Inventory(
            driver_version=attempt(nvml.nvmlSystemGetDriverVersion) or "",
            cuda_version=(cuda // 1000, cuda % 1000 // 10) if cuda else None,
            gpus=tuple(gpus),
            links=self._links_between(handles),
            taken=time.time(),
        )

    def _gpu(self, index: int, handle: Any, seen: dict[int, processes.ProcessFacts]) -> Gpu:
        nvml = self._nvml
        total, used = self._memory(handle)
        rates = ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        power = ask(nvml.nvmlDeviceGetPowerUsage, handle)
        power_limit = ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        capability = ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
        pci = ask(nvml.nvmlDeviceGetPciInfo, handle)
        mig_mode = ask(nvml.nvmlDeviceGetMigMode, handle)
        mig_enabled = bool(mig_mode and mig_mode[0])
        mig_devices = tuple(self._mig_devices(handle, seen)) if mig_enabled else ()
        # Of a GPU in MIG mode, only root is told; of its parts, their users are.
        users = _distinct(
            [
                *self._processes(handle, seen),
                *itertools.chain.from_iterable(d.processes for d in mig_devices),
            ]
        )
        return Gpu(
            index=index,
            uuid=call(nvml.nvmlDeviceGetUUID, handle),
            name=ask(nvml.nvmlDeviceGetName, handle) or "",
            memory_total=total,
            memory_used=used,
            utilization=rates.gpu if rates else None,
            temperature=ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            power=None if power is None else power / 1000,
            power_limit=None if power_limit is None else power_limit / 1000,
            compute_capability=tuple(capability) if capability else None,
            pci_bus_id=_text(pci.busId) if pci else "",
            minor=ask(nvml.nvmlDeviceGetMinorNumber, handle),
            mig_enabled=mig_enabled,
            mig_devices=mig_devices,
            processes=users,
        )

    def _unusable(self, index: int, error: NvmlCallError) -> Gpu:
        """Return a GPU that cannot be asked, with what it said of itself before."""
        known = self._known.get(index)
        return Gpu(
            index=index,
            uuid=known.uuid if known else "",
            name=known.name if known else "",
            state=GpuState.LOST if error.gpu_is_lost else GpuState.ERROR,
            error=error.words,
            memory_total=known.memory_total if known else 0,
            compute_capability=known.compute_capability if known else None,
            pci_bus_id=known.pci_bus_id if known else "",
            minor=known.minor if known else None,
        )

    def _mig_devices(
        self, handle: Any, seen: dict[int, processes.ProcessFacts]
    ) -> Iterator[MigDevice]:
        nvml = self._nvml
        for index in range(ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            mig = ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
            if mig is None:
                # There may be others after it: indices have gaps.
                continue
            total, used = self._memory(mig)
            yield MigDevice(
                uuid=call(nvml.nvmlDeviceGetUUID, mig),
                index=index,
                name=ask(nvml.nvmlDeviceGetName, mig) or "",
                memory_total=total,
                memory_used=used,
                processes=_distinct(self._processes(mig, seen)),
            )

    def _memory(self, handle: Any) -> tuple[int, int]:
        """Return the total and what is used, as far as the driver tells them."""
        nvml = self._nvml
        # Only the second version does not count what the driver keeps for itself.
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
        if memory is None:
            memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        return (int(memory.total), int(memory.used)) if memory else (0, 0)

    def _processes(
        self, handle: Any, seen: dict[int, processes.ProcessFacts]
    ) -> Iterator[GpuProcess]:
        nvml = self._nvml
        for kind, newer, older in (
            (
                "compute",
                nvml.nvmlDeviceGetComputeRunningProcesses_v3,
                nvml.nvmlDeviceGetComputeRunningProcesses_v2,
            ),
            (
                "graphics",
                nvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
                nvml.nvmlDeviceGetGraphicsRunningProcesses_v2,
            ),
        ):
            for process in _listed(newer, older, handle):
                if process.pid not in seen:
                    seen[process.pid] = self._describe(process.pid)
                facts = seen[process.pid]
                yield GpuProcess(
                    pid=process.pid,
                    memory=process.usedGpuMemory,
                    user=facts.user,
                    command=facts.command,
                    container_id=facts.container_id,
                    kind=kind,
                )

    def _links_between(self, handles: dict[int, Any]) -> dict[tuple[int, int], Link]:
        """Return the links; each is asked for once, as long as the library is open."""
        for a, b in itertools.combinations(sorted(handles), 2):
            if (a, b) not in self._links:
                self._links[a, b] = self._link(handles[a], handles[b])
        return dict(self._links)

    def _link(self, a: Any, b: Any) -> Link:
        nvml = self._nvml
        if attempt(nvml.nvmlDeviceGetP2PStatus, a, b, nvml.NVML_P2P_CAPS_INDEX_NVLINK) == 0:
            return Link.NVLINK
        ancestor = attempt(nvml.nvmlDeviceGetTopologyCommonAncestor, a, b)
        return Link.SYSTEM if ancestor is None else _LINKS.get(ancestor, Link.SYSTEM)


def _listed(newer: Callable[..., Any], older: Callable[..., Any], handle: Any) -> list[Any]:
    """Return what the newer function lists, or the older one where the driver lacks that.

    Raises:
        NvmlCallError: It lacks both: who uses the GPU is not to be known.
    """
    try:
        return list(ask(newer, handle, must_exist=True) or ())
    except NvmlCallError as error:
        if not error.missing_function:
            raise
    return list(ask(older, handle, must_exist=True) or ())


def _distinct(users: Iterable[GpuProcess]) -> tuple[GpuProcess, ...]:
    """Return each process once: one may compute and draw, or use two parts of a GPU."""
    by_pid: dict[int, GpuProcess] = {}
    for user in users:
        by_pid.setdefault(user.pid, user)
    return tuple(by_pid.values())


def _text(value: str | bytes) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
