"""Kernels of environments beside local ones, interleaved: ``python -m benchmarks.kernels``."""

from __future__ import annotations

import argparse
import asyncio
import platform
import random
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import replace

from rig.server import Server

from jupyter_dlenv.models import EnvironmentSpec

from . import fresh, measures
from .measures import kernel, since
from .setting import setting
from .table import Samples

STOCK, LOCAL = "local, stock jupyter_server", "local python3"
WARM, COLD = "environment, warm", "environment, cold fork"
STREAMED = "environment, over a stream"
RUN, FRESH = "docker run, plain ipykernel", "fresh environment"
#: Long enough for the next warm kernel to be ready.
_PAUSE = 1.2
#: Limits of the server on what a kernel may print would be measured otherwise.
_UNLIMITED = (
    "--ZMQChannelsWebsocketConnection.iopub_data_rate_limit=0",
    "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit=0",
)


async def main(engine: str, image: str, count: int, samples: Samples) -> None:
    async with setting(engine) as place:
        warm = await place.environments.launch(EnvironmentSpec(name="warm", image=image))
        spec = EnvironmentSpec(name="cold", image=image, env={"DLENV_WARM_KERNELS": "0"})
        cold = await place.environments.launch(spec)
        streamed = None if engine == "process" else await place.launch_streamed("streamed", image)
        ours, stock = place.server(arguments=_UNLIMITED), place.server(arguments=_UNLIMITED)
        stock.extensions = {**stock.extensions, "jupyter_dlenv": False}
        await asyncio.gather(ours.start(), stock.start())
        try:
            kernels = {LOCAL: "python3", WARM: warm.kernel_name, COLD: cold.kernel_name}
            await _starts(ours, kernels, samples, count)
            if streamed:
                kernels[STREAMED] = streamed.kernel_name
            await _running(ours, stock, kernels, samples, count)
            if engine != "process":
                await _fresh(ours, place.environments, warm, samples, max(5, count // 3))
        finally:
            await ours.end(signal.SIGTERM)
            await stock.end(signal.SIGTERM)


async def _starts(server: Server, kernels: dict[str, str], samples: Samples, count: int) -> None:
    for _ in range(count):
        for candidate in _shuffled(kernels):
            await asyncio.sleep(_PAUSE)
            ready, result = await measures.first_steps(server, kernels[candidate])
            samples.add("Kernel ready over the websocket, ms", candidate, ready)
            samples.add("First result, ms", candidate, result)


async def _running(
    ours: Server, stock: Server, kernels: dict[str, str], samples: Samples, count: int
) -> None:
    async with (
        kernel(stock, "python3") as plain,
        kernel(ours, "python3") as local,
        kernel(ours, kernels[WARM]) as inside,
        AsyncExitStack() as stack,
    ):
        pair = {LOCAL: local, WARM: inside}
        if STREAMED in kernels:
            pair[STREAMED] = await stack.enter_async_context(kernel(ours, kernels[STREAMED]))
        names = {STOCK: plain, **pair}
        for _ in range(4 * count):
            for candidate in _shuffled(names):
                trip = await measures.round_trip(names[candidate])
                samples.add("Round trip of `pass`, ms", candidate, trip)
        for candidate, page in pair.items():
            samples.add("Memory of an idle kernel, MB", candidate, await measures.memory(page))
        for _ in range(count):
            for candidate in _shuffled(pair):
                page = pair[candidate]
                speed = await measures.binary_throughput(page)
                samples.add("100 MB in binary buffers, MB/s", candidate, speed)
                speed = await measures.text_throughput(page)
                samples.add("100 MB of text, MB/s", candidate, speed)
                page.received.clear()
        for _ in range(count):
            for candidate in _shuffled(pair):
                page = pair[candidate]
                samples.add("Interrupt, ms", candidate, await measures.interrupt(ours, page))
                await asyncio.sleep(_PAUSE)
                samples.add("Restart, ms", candidate, await measures.restart(ours, page))
                # Its page hears it a little later.
                await page.answered_again()
    for _ in range(max(3, count // 3)):
        for candidate in _shuffled(pair):
            # A new one each time: those that die often are given up, and get other ports.
            async with kernel(ours, kernels[candidate]) as page:
                await page.execute("pass")
                samples.add("A crash is shown after, ms", candidate, await measures.crash(page))


async def _fresh(server: Server, environments, like, samples: Samples, count: int) -> None:
    measure = "First result in a fresh container, ms"
    for number in range(count):
        samples.add(measure, RUN, await fresh.docker_run(like.image_id))
        began = time.perf_counter()
        name = f"fresh{number}"
        environment = await environments.launch(replace(like.spec, name=name))
        async with kernel(server, environment.kernel_name) as page:
            await page.execute("6 * 7")
            samples.add(measure, FRESH, since(began))
        await environments.remove(name)


def _shuffled(candidates: dict) -> list[str]:
    return random.sample(list(candidates), len(candidates))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="docker")
    parser.add_argument("--image", default="dlenv-test/python")
    parser.add_argument("--count", type=int, default=15)
    given = parser.parse_args()
    measured = Samples((STOCK, RUN, LOCAL, WARM, COLD, STREAMED, FRESH))
    try:
        asyncio.run(main(given.engine, given.image, given.count, measured))
    finally:
        print(measured.to_markdown())
    print(f"\nPython {platform.python_version()}, Linux {platform.release()}, {given.engine}")
