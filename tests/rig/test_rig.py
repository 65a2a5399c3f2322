"""The rig finds what it is there to find, and leaves no trace of itself."""

from __future__ import annotations

import asyncio
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from . import engine
from .images import Images
from .loop_watch import LoopWatch


async def watched(work) -> LoopWatch:
    async with LoopWatch() as watch:
        await work()
    return watch


def test_a_call_that_holds_the_loop_is_found_and_named():
    async def work():
        await asyncio.sleep(0.02)
        time.sleep(0.4)  # noqa: ASYNC251 - the very thing to be found
        await asyncio.sleep(0.02)

    longest = asyncio.run(watched(work)).longest

    assert longest.seconds > 0.3
    assert "time.sleep(0.4)" in longest.stack


def test_the_last_call_is_found_too():
    async def work():
        await asyncio.sleep(0.02)
        time.sleep(0.4)  # noqa: ASYNC251 - the very thing to be found

    assert asyncio.run(watched(work)).longest.seconds > 0.3


def test_a_thread_that_waits_does_not_hold_the_loop():
    async def work():
        await asyncio.to_thread(time.sleep, 0.4)

    assert asyncio.run(watched(work)).longest.seconds < 0.25


def test_what_runs_before_the_first_await_is_not_counted():
    async def work():
        time.sleep(0.4)  # noqa: ASYNC251 - the very thing to be found
        await asyncio.sleep(0.02)

    assert asyncio.run(watched(work)).longest.seconds < 0.25


def test_a_registry_serves_what_was_pushed(registry, images):
    reference = f"{registry.address}/team/tiny:1"

    images.client.images.pull(reference)

    images.client.images.remove(reference)


def test_a_private_registry_wants_its_login(private_registry):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://{private_registry.address}/v2/_catalog", timeout=5)


@pytest.mark.owned_engine
@pytest.mark.slow
@pytest.mark.skipif(bool(engine.why_not("tiny")), reason=engine.why_not("tiny"))
def test_a_second_engine_works_and_leaves_no_trace(images):
    """Worth its time: a rule or mount that stays would make later runs fail in strange ways."""
    before = traces()

    with engine.running("tiny") as tiny:
        there = Images(tiny.url, source=images)
        image = there.ensure("bare")
        output = there.client.containers.run(image, ["cat", "/etc/debian_version"], remove=True)
        during = traces()

    assert output.startswith(b"12")
    assert during > before
    assert traces() == before


def traces() -> set[str]:
    """Return the mounts, processes, links and firewall rules that belong to second engines."""
    lines = Path("/proc/mounts").read_text().splitlines()
    for command in (("ip", "-o", "link"), ("iptables-save",), ("ps", "-eo", "args")):
        lines += subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=30
        ).stdout.splitlines()
    return {line for line in lines if "dlenv-engine/tiny" in line or "dlenv-tiny" in line}
