"""The command that shows the GPUs of this machine, once or for as long as one likes."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click

from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, exit_code, print_json

if TYPE_CHECKING:
    from ..gpus.inventory import Inventory

    Holders = Callable[[], Awaitable[Mapping[str, str]]]
    Show = Callable[[Inventory, Mapping[str, str], Mapping[str, str]], None]


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C.")
@common_options
@pass_invocation
def gpus(invocation: Invocation, watch: bool) -> int:
    """Show the GPUs of this machine, and who uses them."""
    # Imported here: what asks for help must not wait for it.
    import asyncio  # noqa: PLC0415

    from .interrupts import interruptible  # noqa: PLC0415

    work = _look(_nobody, watch=watch, as_json=invocation.json)
    try:
        asyncio.run(interruptible(work, lambda: None))
    except Interrupted as error:
        if not watch:
            raise
        # How everybody ends to watch: there is nothing to say.
        return exit_code(error)
    return 0


async def _nobody() -> Mapping[str, str]:
    return {}


async def _look(holders: Holders, *, watch: bool, as_json: bool) -> None:
    """Show the GPUs, once or until cancelled.

    Args:
        holders: Says who holds which GPU or MIG device, by UUID, in words.
    """
    # Imported here for the reason above.
    from ..gpus.fence import fence  # noqa: PLC0415
    from ..gpus.nvml import NvmlReader  # noqa: PLC0415
    from ..gpus.poller import GpuPoller  # noqa: PLC0415

    poller = GpuPoller(NvmlReader())
    try:
        with _open(watch=watch, as_json=as_json) as show:
            if not watch:
                inventory = await poller.read()
                show(inventory, await holders(), fence(inventory, os.environ))
                return
            async with aclosing(poller.watch()) as inventories:
                async for inventory in inventories:
                    show(inventory, await holders(), fence(inventory, os.environ))
    finally:
        await poller.aclose()


def _open(*, watch: bool, as_json: bool) -> AbstractContextManager[Show]:
    if as_json:
        return nullcontext(partial(_print_json, compact=watch))
    # Imported here: rich is large, and JSON has no need of it.
    from .board import live_board, print_board  # noqa: PLC0415

    return live_board() if watch and sys.stdout.isatty() else nullcontext(print_board)


def _print_json(
    inventory: Inventory,
    holders: Mapping[str, str],
    fenced: Mapping[str, str],
    *,
    compact: bool,
) -> None:
    value = {
        "inventory": inventory.to_json(),
        "holders": dict(holders),
        "fenced": dict(fenced),
    }
    print_json(value, compact=compact)
