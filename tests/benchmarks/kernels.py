"""Kernels of environments beside local ones, interleaved: ``python -m benchmarks.kernels``."""

from __future__ import annotations

import argparse
import asyncio
import platform
import random
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

from rig.server import Server

from jupyter_dlenv.models import EnvironmentSpec

from . import fresh, measures, peers
from .measures import kernel, since
from .page import round_trips_in_page
from .setting import setting
from .table import Samples

STOCK, LOCAL = "local, stock jupyter_server", "local python3"
WARM, COLD = "environment, warm", "environment, cold fork"
STREAMED = "environment, over a stream"
RUN, FRESH = "docker run, plain ipykernel", "fresh environment"
READY, FIRST = "Kernel ready over the websocket, ms", "First result, ms"
#: Long enough for the next warm kernel to be ready.
_PAUSE = 1.2
#: Limits of the server on what a kernel may print would be measured otherwise.
_UNLIMITED = (
    "--ZMQChannelsWebsocketConnection.iopub_data_rate_limit=0",
    "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit=0",
)
#: A server, and the name of a kernelspec, by candidate.
_Kernels = Mapping[str, tuple[Server, str]]


async def main(
    engine: str, image: str, count: int, samples: Samples, *, with_peers: bool = True
) -> None:
    async with setting(engine) as place:
        warm = await place.environments.launch(EnvironmentSpec(name="warm", image=image))
        spec = EnvironmentSpec(name="cold", image=image, env={"DLENV_WARM_KERNELS": "0"})
        cold = await place.environments.launch(spec)
        streamed = None if engine == "process" else await place.launch_streamed("streamed", image)
        ours, stock = place.server(arguments=_UNLIMITED), place.server(arguments=_UNLIMITED)
        stock.extensions = {**stock.extensions, "jupyter_dlenv": False}
        await asyncio.gather(ours.start(), stock.start())
        try:
            kernels = {LOCAL: (ours, "python3"), WARM: (ours, warm.kernel_name)}
            starting = {**kernels, COLD: (ours, cold.kernel_name)}
            async with AsyncExitStack() as stack:
                if with_peers and engine != "process":
                    they = await stack.enter_async_context(
                        peers.running(place, ours, warm.image_id, _UNLIMITED)
                    )
                    starting.update(they.kernels)
                    for name, reason in they.missing.items():
                        samples.note(FIRST, f"Not measured: {name} ({reason})")
                await _starts(starting, samples, count)
            if streamed:
                kernels[STREAMED] = (ours, streamed.kernel_name)
            with_stock = {STOCK: (stock, "python3"), **kernels}
            await _round_trips(with_stock, samples, count)
            await round_trips_in_page(with_stock, samples, count)
            await _running(kernels, samples, count)
            if engine != "process":
                await _fresh(ours, place.environments, warm, samples, count)
        finally:
            await ours.end(signal.SIGTERM)
            await stock.end(signal.SIGTERM)


async def _starts(kernels: _Kernels, samples: Samples, count: int) -> None:
    for _ in range(count):
        for candidate in _shuffled(kernels):
            await asyncio.sleep(_PAUSE)
            try:
                ready, result = await measures.first_steps(*kernels[candidate])
            except peers.FAILURES as error:
                if candidate not in peers.NAMES:
                    raise
                samples.note(FIRST, f"{candidate} failed once: {error}")
                continue
            samples.add(READY, candidate, ready)
            samples.add(FIRST, candidate, result)


async def _round_trips(kernels: _Kernels, samples: Samples, count: int) -> None:
    async with AsyncExitStack() as stack:
        pages = {c: await stack.enter_async_context(kernel(*kernels[c])) for c in kernels}
        for _ in range(count):
            for candidate in _shuffled(pages):
                for trip in await measures.round_trips(pages[candidate]):
                    samples.add("Round trip of `pass`, ms", candidate, trip)


async def _running(kernels: _Kernels, samples: Samples, count: int) -> None:
    async with AsyncExitStack() as stack:
        pages = {c: await stack.enter_async_context(kernel(*kernels[c])) for c in kernels}
        for candidate, page in pages.items():
            samples.add("Memory of an idle kernel, MB", candidate, await measures.memory(page))
        for _ in range(count):
            for candidate in _shuffled(pages):
                page = pages[candidate]
                speed = await measures.binary_throughput(page)
                samples.add("100 MB in binary buffers, MB/s", candidate, speed)
                speed = await measures.text_throughput(page)
                samples.add("100 MB of text, MB/s", candidate, speed)
                page.received.clear()
        for _ in range(count):
            for candidate in _shuffled(pages):
                page, (server, _) = pages[candidate], kernels[candidate]
                samples.add("Interrupt, ms", candidate, await measures.interrupt(server, page))
                await asyncio.sleep(_PAUSE)
                samples.add("Restart, ms", candidate, await measures.restart(server, page))
                # Its page hears it a little later.
                await page.answered_again()
    for _ in range(count):
        for candidate in _shuffled(kernels):
            # A new one each time: those that die often are given up, and get other ports.
            async with kernel(*kernels[candidate]) as page:
                await page.execute("pass")
                samples.add("A crash is shown after, ms", candidate, await measures.crash(page))


async def _fresh(server: Server, environments, like, samples: Samples, count: int) -> None:
    async def launch() -> float:
        began = time.perf_counter()
        environment = await environments.launch(replace(like.spec, name="fresh"))
        try:
            async with kernel(server, environment.kernel_name) as page:
                await page.execute("6 * 7")
                return since(began)
        finally:
            await environments.remove("fresh")

    ways = {RUN: lambda: fresh.docker_run(like.image_id), FRESH: launch}
    for _ in range(count):
        for candidate in _shuffled(ways):
            samples.add("First result in a fresh container, ms", candidate, await ways[candidate]())


def _shuffled(candidates: Mapping) -> list[str]:
    return random.sample(list(candidates), len(candidates))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="docker")
    parser.add_argument("--image", default="dlenv-test/python")
    parser.add_argument("--count", type=int, default=15)
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    given = parser.parse_args()
    measured = Samples((STOCK, RUN, LOCAL, WARM, COLD, STREAMED, FRESH, *peers.NAMES))
    try:
        asyncio.run(main(given.engine, given.image, given.count, measured, with_peers=given.peers))
    finally:
        print(measured.to_markdown())
    print(f"\nPython {platform.python_version()}, Linux {platform.release()}, {given.engine}")
