"""One measurement each, through a real Jupyter server and its websocket; results in ms or MB/s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rig.server import Page, Server
from tornado.httpclient import HTTPClientError

MB = 1024**2
#: Cells that come one after another, as those of Run All do.
BURST = 5
_BINARY = """
from ipykernel.comm import Comm
channel = Comm(target_name="dlenv-benchmark")
for _ in range(4):
    channel.send(data={}, buffers=[block])
"""
_TEXT = "for _ in range(100): print(line, flush=True)"


def since(began: float) -> float:
    """Return milliseconds."""
    return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def started(server: Server, name: str) -> AsyncIterator[str]:
    """Start a kernel that nobody listens to, and shut it down in the end."""
    kernel_id = (await server.ask("POST", "/api/kernels", {"name": name}))["id"]
    try:
        yield kernel_id
    finally:
        # One that has just crashed may be between two lives.
        with suppress(HTTPClientError):
            await server.ask("DELETE", f"/api/kernels/{kernel_id}")


@asynccontextmanager
async def kernel(server: Server, name: str) -> AsyncIterator[Page]:
    """Start a kernel, listen to it, and shut it down in the end."""
    async with started(server, name) as kernel_id:
        page = Page(server, kernel_id)
        try:
            await page.connect()
            yield page
        finally:
            await page.aclose()


async def first_steps(server: Server, name: str) -> tuple[float, float]:
    """Return when a new kernel has answered over the websocket, and when it has a result."""
    began = time.perf_counter()
    async with kernel(server, name) as page:
        await page.answered(await page.send("kernel_info_request", {}, "shell"))
        ready = since(began)
        await page.execute("6 * 7")
        return ready, since(began)


async def round_trips(page: Page) -> list[float]:
    """Return how long each of some cells takes that come one after another.

    The first is not counted: it does not come soon after another, and TCP treats it differently.
    """
    page.received.clear()
    trips = []
    for _ in range(BURST):
        began = time.perf_counter()
        await page.execute("pass")
        trips.append(since(began))
    return trips[1:]


async def binary_throughput(page: Page) -> float:
    """Return MB/s of 100 MB in four buffers."""
    await page.execute(f"block = bytes({25 * MB})")
    page.count_bytes()
    began = time.perf_counter()
    await page.execute(_BINARY)
    await page.until(lambda: page.bytes_received >= 100 * MB)
    return 100 / (since(began) / 1000)


async def text_throughput(page: Page) -> float:
    """Return MB/s of 100 MB that are printed."""
    await page.execute(f"line = 'x' * {MB}")
    page.count_bytes()
    began = time.perf_counter()
    await page.execute(_TEXT)
    await page.until(lambda: page.bytes_received >= 100 * MB)
    return 100 / (since(began) / 1000)


async def interrupt(server: Server, page: Page) -> float:
    code = "import time; print('on', flush=True)\nfor _ in range(6000): time.sleep(0.01)"
    request = await page.begin(code)
    # Not execute_input, which comes before any of the code runs.
    await page.until(lambda: any(m["msg_type"] == "stream" for m in page.of(request)))
    await asyncio.sleep(0.02)
    began = time.perf_counter()
    await server.ask("POST", f"/api/kernels/{page.kernel_id}/interrupt")
    await page.until(lambda: page.is_done(request))
    return since(began)


async def restart(server: Server, page: Page) -> float:
    """Return when a page that reconnects after the request, as JupyterLab does, has an answer.

    The request itself ends when a process has been started.
    """
    began = time.perf_counter()
    await server.ask("POST", f"/api/kernels/{page.kernel_id}/restart")
    again = Page(server, page.kernel_id)
    try:
        await again.connect()
        await again.answered(await again.send("kernel_info_request", {}, "shell"))
        return since(began)
    finally:
        await again.aclose()


async def crash(page: Page) -> float:
    """Return how long a page shows a kernel as busy that is gone."""
    page.received.clear()
    request = await page.begin("import os, time; time.sleep(0.05); os._exit(1)")
    await page.until(lambda: any(m["msg_type"] == "execute_input" for m in page.of(request)))
    began = time.perf_counter() + 0.05
    await page.until(
        lambda: any(m["content"].get("execution_state") == "restarting" for m in page.received)
    )
    return since(began)


async def memory(page: Page) -> float:
    """Return MB that are the kernel's alone."""
    answer = await page.execute(
        "sum(int(l.split()[1]) for l in open('/proc/self/smaps_rollup') if 'Private' in l)"
    )
    await asyncio.sleep(0)
    return int(answer) / 1024
