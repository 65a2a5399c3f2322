"""Waits for what an engine does by itself, each with a limit."""

from __future__ import annotations

import asyncio
import time


async def until(condition, *, limit=15):
    """Wait until the awaitable that ``condition`` makes is true; return what it was."""
    end = time.monotonic() + limit
    while not (value := await condition()):
        assert time.monotonic() < end, "it did not become true in time"
        await asyncio.sleep(0.02)
    return value


async def until_exited(engine, container_id):
    async def exited():
        state = await engine.inspect(container_id)
        return state if state.state == "exited" else None

    return await until(exited)


async def read_all(stream):
    """Return all of standard output and all of standard error."""
    outputs = {1: b"", 2: b""}
    while (frame := await stream.read())[0]:
        kind, data = frame
        outputs[kind] += data
    return outputs[1], outputs[2]
