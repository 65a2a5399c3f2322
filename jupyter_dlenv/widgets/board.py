"""The GPUs of the engine's machine, and who uses them, as a table."""

from __future__ import annotations

import html
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import ipywidgets
import traitlets

from .. import api, background
from ..errors import DlenvError
from ..gpu_view import GpuView, see_gpus
from ..gpus.choose import why_taken, why_unusable
from ..gpus.devices import Device, devices
from ..gpus.inventory import DriverState, Inventory

_GIB = 1024**3
_HEADS = ("GPU", "Name", "Memory", "Load", "Used by")


class GPUBoard(ipywidgets.VBox):  # type: ignore[misc]
    """The board.

    Attributes:
        inventory: What was read last, or ``None``; can be observed.
        view: The same with who holds which.
    """

    inventory = traitlets.Instance(Inventory, allow_none=True)
    view = traitlets.Instance(GpuView, allow_none=True)

    def __init__(self, *, engine: str = "") -> None:
        self._engine = engine
        self._page = ipywidgets.HTML()
        button = ipywidgets.Button(description="Refresh")
        button.on_click(lambda _: self.refresh())
        super().__init__([self._page, button])
        self.refresh()

    def refresh(self) -> None:
        """Read the GPUs again; returns at once."""
        background.start(api.with_environments(self._engine, see_gpus), self._show)

    def _show(self, seen: Future[GpuView]) -> None:
        try:
            view = seen.result()
        except CancelledError:
            return
        except DlenvError as error:
            self._page.value = html.escape(f"{error} {error.hint}")
        else:
            self._page.value = board(view)
            self.view = view
            self.inventory = view.inventory


def board(view: GpuView) -> str:
    """Return the board as HTML."""
    inventory = view.inventory
    if inventory.driver_state is not DriverState.OK:
        return html.escape(inventory.message)
    if not inventory.gpus:
        return "The NVIDIA driver sees no GPU."
    rows = [_HEADS, *(tuple(_cells(device, view)) for device in devices(inventory))]
    lines = (
        "".join(f"<td style='padding-right: 1em'>{html.escape(cell)}</td>" for cell in row)
        if number
        else "".join(f"<th>{head}</th>" for head in row)
        for number, row in enumerate(rows)
    )
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def labels(view: GpuView) -> dict[str, str]:
    """Return the words for each GPU that an environment can be given, by its UUID."""
    return {
        device.uuid: " · ".join(filter(None, _cells(device, view)))
        for device in devices(view.inventory)
        if not why_unusable(device, view.fenced)
    }


def _cells(device: Device, view: GpuView) -> Iterator[str]:
    total = device.mig.memory_total if device.mig else device.gpu.memory_total
    load = device.utilization
    yield device.label
    yield device.mig.name if device.mig else device.gpu.name.removeprefix("NVIDIA ")
    yield f"{device.memory_used / _GIB:.1f} of {total / _GIB:.0f} GiB" if total else ""
    yield "" if load is None else f"{load} %"
    yield (why_unusable(device, view.fenced) or why_taken(device, view.holders.by_uuid) or "idle")
