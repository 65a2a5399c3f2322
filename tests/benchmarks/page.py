"""What a user's page sees of a kernel: round trips in Chromium, from JavaScript."""

from __future__ import annotations

import asyncio
import random
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright
from rig.server import TOKEN, Server

from .measures import BURST, started
from .table import Samples

MEASURE = "Round trip of `pass` in a browser page, ms"
RESTED = "The same after a rest of half a second, ms"
#: After which Linux acknowledges at once what a websocket receives, as it does when it is new.
_REST = 0.5
_PATIENCE = 60
_SCRIPT = Path(__file__).with_name("round_trips.js")


async def round_trips_in_page(
    kernels: Mapping[str, tuple[Server, str]], samples: Samples, count: int
) -> None:
    """Measure kernels in turns; those of one server share a page, as those of JupyterLab do."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        samples.note(MEASURE, "Not measured: there is no Chromium here.")
        return
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(_browser(chromium))
        pages = {}
        for server, _ in kernels.values():
            if server not in pages:
                pages[server] = await context.new_page()
                await pages[server].goto(f"http://127.0.0.1:{server.port}/login?token={TOKEN}")
        for candidate, (server, name) in kernels.items():
            kernel_id = await stack.enter_async_context(started(server, name))
            url = (
                f"ws://127.0.0.1:{server.port}/api/kernels/{kernel_id}/channels"
                f"?session_id={uuid.uuid4().hex}&token={TOKEN}"
            )
            await _call(pages[server], "openKernel", {"name": candidate, "url": url})
            # The first comes when the kernel has told the server that it is there.
            await _call(pages[server], "roundTrips", {"name": candidate, "count": 1})
        for _ in range(count):
            for candidate in random.sample(list(kernels), len(kernels)):
                page = pages[kernels[candidate][0]]
                await asyncio.sleep(_REST)
                first, *others = await _call(
                    page, "roundTrips", {"name": candidate, "count": BURST}
                )
                for trip in others:
                    samples.add(MEASURE, candidate, trip)
                samples.add(RESTED, candidate, first)


async def _call(page: Page, function: str, argument: Any) -> Any:
    """Call a function of the script."""
    return await asyncio.wait_for(page.evaluate(function, argument), _PATIENCE)


@asynccontextmanager
async def _browser(chromium: str) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        # Chromium's sandbox refuses root, and containers without user namespaces.
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            context = await browser.new_context()
            await context.add_init_script(path=_SCRIPT)
            yield context
        finally:
            await browser.close()
