"""What the server says that a kernel does: everything that shows kernels believes it."""

from __future__ import annotations

import asyncio


async def test_a_kernel_that_dies_in_a_cell_is_not_busy_when_it_runs_again(launched, start_kernel):
    await launched("bert")
    kernel = await start_kernel("dlenv-bert")
    await kernel.begin("import os; os.kill(os.getpid(), 9)")
    await kernel.until_restarting()

    # No page asks it anything meanwhile: there may be none.
    for _ in range(100):
        if await kernel.state() == "idle":
            break
        await asyncio.sleep(0.1)

    assert "idle" == await kernel.state()
