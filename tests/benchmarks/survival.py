"""Kill the server again and again while kernels work: ``python -m benchmarks.survival``.

Each round starts a cell in each of three notebooks that prints numbered lines, kills the server
at a random moment, starts it again, and looks at what the pages have in the end: every kernel,
every session, every variable, every line once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from rig.server import Page, Server

from jupyter_dlenv.kernels.link import AgentLink
from jupyter_dlenv.models import Environment, EnvironmentSpec

from .setting import setting

_CELL = """
import time
for line in range({lines}):
    print({number}, line)
    time.sleep({pause})
x += 1
"""
_LINES = 120


async def trial(server: Server, environment: Environment, rounds: int, seed: int) -> list[str]:
    """Return what was wrong; the server runs before and after."""
    draw = random.Random(seed)
    wrong: list[str] = []
    sessions = [await server.open_notebook(f"{i}.ipynb", environment.kernel_name) for i in range(3)]
    pages = [Page(server, session["kernel"]["id"]) for session in sessions]
    await asyncio.gather(*(page.connect() for page in pages))
    for page in pages:
        await page.execute("x = 0")
    pids = await _pids(environment)
    for number in range(rounds):
        began = time.monotonic()
        cell = _CELL.format(lines=_LINES, number=number, pause=0.02)
        requests = [await page.begin(cell) for page in pages]
        await asyncio.sleep(draw.uniform(0, 1.5))
        await server.end(signal.SIGKILL)
        await server.start()
        found = {s["id"]: s for s in await server.get("/api/sessions")}
        for session in sessions:
            other = found.pop(session["id"], None)
            if other is None or other["path"] != session["path"]:
                wrong.append(f"{number}: session {session['path']} is {other}")
        wrong += [f"{number}: a session too many: {s}" for s in found.values()]
        await asyncio.gather(*(page.connect() for page in pages))
        for page, request in zip(pages, requests, strict=True):
            try:
                await page.until(lambda p=page, r=request: p.is_done(r), 20)
            except AssertionError:
                wrong.append(f"{number}: a cell never ended")
            lines = page.output(request).splitlines()
            expected = [f"{number} {line}" for line in range(_LINES)]
            if lines != expected:
                missing = sorted(set(expected) - set(lines))
                twice = [line for line, count in Counter(lines).items() if count > 1]
                wrong.append(f"{number}: missing {missing[:5]}, twice {twice[:5]}, {len(lines)}")
            if await page.execute("x") != str(number + 1):
                wrong.append(f"{number}: the variable is wrong")
            page.received.clear()
        if await _pids(environment) != pids:
            wrong.append(f"{number}: other kernels: {await _pids(environment)}")
        print(f"round {number}: {time.monotonic() - began:.1f} s", *wrong, sep="\n  ", flush=True)
    for page, session in zip(pages, sessions, strict=True):
        await page.aclose()
        await server.ask("DELETE", f"/api/sessions/{session['id']}")
    if await _pids(environment):
        wrong.append("kernels are left")
    return wrong


async def _pids(environment: Environment) -> set[int]:
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)
    try:
        return {k["pid"] for k in await link.kernels() if k["exit_code"] is None}
    finally:
        await link.aclose()


def _connection_files(environment: Environment) -> list[str]:
    return sorted(path.name for path in Path(environment.runtime_dir).glob("k-*.json"))


async def main(rounds: int, engine: str, image: str, seed: int) -> int:
    async with setting(engine) as place:
        environment = await place.environments.launch(EnvironmentSpec(name="b", image=image))
        server = place.server()
        await server.start()
        try:
            wrong = await trial(server, environment, rounds, seed)
        finally:
            await server.end(signal.SIGTERM)
        # One is the warm kernel's.
        left = _connection_files(environment)
        if len(left) > 1:
            wrong.append(f"files are left: {left}")
    print("\n".join(wrong) or f"{rounds} rounds, 3 kernels each: nothing lost, nothing twice")
    return bool(wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--engine", default="process")
    parser.add_argument("--image", default="python")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.rounds, given.engine, given.image, given.seed)))
