"""What the server says that a kernel does: everything that shows kernels believes it."""

from __future__ import annotations

import asyncio

DYING = """\
import os, time
while not os.path.exists({go!r}):
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""


async def until(kernel, state: str) -> None:
    for _ in range(3000):
        if await kernel.state() == state:
            return
        # As often as can be: the first moment is the one that matters.
        await asyncio.sleep(0.005)
    raise AssertionError(f"the kernel is {await kernel.state()}, not {state}")


async def test_a_kernel_that_dies_in_a_cell_is_not_busy_when_it_runs_again(
    launched, start_kernel, tmp_path
):
    go = tmp_path / "go"
    await launched("bert")
    kernel = await start_kernel("dlenv-bert")
    await kernel.begin(DYING.format(go=str(go)))
    await until(kernel, "busy")
    go.touch()

    await kernel.until_restarting()

    # No page asks it anything meanwhile: there may be none.
    await until(kernel, "idle")
    await kernel.end()
