"""The board of GPUs on a terminal: one line for each, with who uses it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..gpus.choose import why_taken, why_unusable
from ..gpus.devices import Device, devices
from ..gpus.holders import Holders
from ..gpus.inventory import DriverState, GpuState, Inventory
from .text import clean

_GIB = 1024**3
#: Where there is no terminal, nothing is folded.
_WIDTH_OF_A_PIPE = 200


def print_board(inventory: Inventory, holders: Holders, fenced: Mapping[str, str]) -> None:
    """Print the board on stdout."""
    _console().print(board(inventory, holders, fenced))


@contextmanager
def live_board() -> Iterator[Callable[[Inventory, Holders, Mapping[str, str]], None]]:
    """Redraw the board in place, each time that the function is called which this yields."""
    with Live(console=_console(), auto_refresh=False) as live:
        yield lambda inventory, holders, fenced: live.update(
            board(inventory, holders, fenced), refresh=True
        )


def board(inventory: Inventory, holders: Holders, fenced: Mapping[str, str]) -> RenderableType:
    """Return the board.

    Args:
        holders: Who holds which GPU or MIG device, in words.
        fenced: Why a GPU or MIG device must not be used from here, by UUID, in words.
    """
    if inventory.driver_state is not DriverState.OK:
        return Text(clean(inventory.message), style="yellow")
    if not inventory.gpus:
        return Text("The NVIDIA driver sees no GPU.")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("GPU", no_wrap=True, header_style="dim")
    table.add_column("NAME", no_wrap=True, header_style="dim", max_width=20)
    table.add_column("MEMORY", no_wrap=True, header_style="dim")
    for column in ("", "UTIL", "TEMP", "POWER"):
        table.add_column(column, justify="right", no_wrap=True, header_style="dim")
    table.add_column("USED BY", overflow="fold", header_style="dim")
    for device in devices(inventory):
        table.add_row(*_row(device), _words(device, holders.by_uuid, fenced))
    notes = [Text(f"{clean(who)} sees all GPUs", style="dim") for who in holders.everywhere]
    return Group(_headline(inventory), table, *notes)


def _headline(inventory: Inventory) -> Text:
    cuda = inventory.cuda_version
    parts = [
        f"NVIDIA driver {clean(inventory.driver_version)}",
        *([f"CUDA up to {cuda[0]}.{cuda[1]}"] if cuda else []),
    ]
    return Text(", ".join(parts), style="dim")


def _row(device: Device) -> list[RenderableType]:
    gpu, mig = device.gpu, device.mig
    if mig is not None:
        # Of its parts, the driver tells neither load nor temperature.
        name = clean(mig.name).rpartition("MIG ")[2]
        memory = _memory(mig.memory_used, mig.memory_total)
        return [Text(f"  {gpu.index}:{mig.index}"), Text(name), *memory, "", "", ""]
    name = clean(gpu.name).removeprefix("NVIDIA ")
    memory = _memory(gpu.memory_used, gpu.memory_total) if gpu.state is GpuState.OK else ["", ""]
    return [
        Text(str(gpu.index)),
        Text(name),
        *memory,
        Text("" if gpu.utilization is None else f"{gpu.utilization} %"),
        Text("" if gpu.temperature is None else f"{gpu.temperature} °C"),
        Text("" if gpu.power is None else f"{gpu.power:.0f} W"),
    ]


def _memory(used: int, total: int) -> list[RenderableType]:
    if not total:
        return ["", ""]
    return [
        ProgressBar(total=total, completed=used, width=6, complete_style="cyan"),
        Text(f"{used / _GIB:.1f}/{total / _GIB:.0f} GiB"),
    ]


def _words(device: Device, holders: Mapping[str, str], fenced: Mapping[str, str]) -> Text:
    broken = why_unusable(device, {})
    if device.gpu.state is not GpuState.OK:
        return Text(clean(broken), style="red")
    if broken:
        return Text(clean(broken), style="dim")
    taken = why_taken(device, holders)
    if taken:
        return Text(clean(taken))
    if device.uuid in fenced:
        return Text(f"idle, but {clean(fenced[device.uuid])}", style="yellow")
    return Text("idle", style="green")


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)
