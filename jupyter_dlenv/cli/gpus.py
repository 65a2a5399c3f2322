"""The command that shows the GPUs of the engine's machine, once or for as long as one likes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click

from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, exit_code, print_json

if TYPE_CHECKING:
    from ..environments import Environments
    from ..gpus.holders import Holders
    from ..gpus.inventory import Inventory

    Show = Callable[[Inventory, Holders, Mapping[str, str]], None]

_INTERVAL = 2.0


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C.")
@common_options
@pass_invocation
def gpus(invocation: Invocation, watch: bool) -> int:
    """Show the GPUs of this machine, or of the engine's, and who uses them."""
    # Imported here: what asks for help must not wait for it.
    import asyncio  # noqa: PLC0415

    from .interrupts import interruptible  # noqa: PLC0415

    environments = invocation.configuration().open(invocation.engine)
    work = _look(environments, watch=watch, as_json=invocation.json)
    try:
        asyncio.run(interruptible(work, lambda: None))
    except Interrupted as error:
        if not watch:
            raise
        # How everybody ends to watch: there is nothing to say.
        return exit_code(error)
    return 0


async def _look(environments: Environments, *, watch: bool, as_json: bool) -> None:
    """Show the GPUs, once or until cancelled."""
    # Imported here for the reason above.
    import asyncio  # noqa: PLC0415

    from ..gpu_view import see_gpus  # noqa: PLC0415

    try:
        with _open(watch=watch, as_json=as_json) as show:
            while True:
                view = await see_gpus(environments)
                show(view.inventory, view.holders, view.fenced)
                if not watch:
                    return
                await asyncio.sleep(_INTERVAL)
    finally:
        await environments.aclose()


def _open(*, watch: bool, as_json: bool) -> AbstractContextManager[Show]:
    if as_json:
        return nullcontext(partial(_print_json, compact=watch))
    # Imported here: rich is large, and JSON has no need of it.
    from .board import live_board, print_board  # noqa: PLC0415

    return live_board() if watch and sys.stdout.isatty() else nullcontext(print_board)


def _print_json(
    inventory: Inventory,
    holders: Holders,
    fenced: Mapping[str, str],
    *,
    compact: bool,
) -> None:
    value = {
        "inventory": inventory.to_json(),
        "holders": dict(holders.by_uuid),
        "everywhere": list(holders.everywhere),
        "fenced": dict(fenced),
    }
    print_json(value, compact=compact)
