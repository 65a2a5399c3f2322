"""What ``%%dlenv`` costs, compared with a cell of a notebook whose kernel is the environment's.

All are measured in turns, so that a busy machine is busy for all, and with a pause before each,
as between a user's cells: IPython's history of the cell before is still being written to the disk
when the next one comes at once.  Prints what docs/performance.md says, and what 100 MB cost::

    cd tests && ../.venv/bin/python -m benchmarks.cells [ENGINE]
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from rig import ask, images
from rig.agents import KEY, client_of
from traitlets.config import Config

import jupyter_dlenv as dl
from jupyter_dlenv import magics
from jupyter_dlenv.kernels.link import AgentLink

ROUNDS = 200
PAUSE = 0.03
NAME = f"bench-{uuid.uuid4().hex[:6]}"


def main() -> None:
    """Measure on one engine, and print."""
    engine = sys.argv[1] if len(sys.argv) > 1 else "process"
    image = "python"
    if engine != "process":
        url = os.environ["DOCKER_HOST"] = ask.answering_url() or ""
        image = images.Images(url).ensure("kernel")
    os.environ["DLENV_ENGINE"] = engine
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chdir(directory)
        for variable in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            os.environ[variable] = directory
        with dl.launch(image, name=NAME) as environment:
            asyncio.run(_measure(Path(environment.environment.runtime_dir)))
            if engine == "process":
                _measure_values()
        # Whatever ends last must not miss its directory.
        os.chdir("/")


async def _measure(directory: Path) -> None:
    link = await AgentLink.connect(directory, timeout=10)
    kernel = await link.start_kernel("direct", key=KEY, env={}, cwd="", tied=True)
    notebook = AsyncKernelManager(kernel_name="python3")
    notebook.kernel_spec.argv[0] = sys.executable
    await notebook.start_kernel()
    shell = _shell()
    cell = f"%%dlenv {NAME}\npass"
    async with client_of(directory, kernel) as direct:
        through = notebook.client()
        through.start_channels()
        await through.wait_for_ready(timeout=60)
        await _run(through, "%load_ext jupyter_dlenv")
        await _run(through, cell)
        shell.run_cell_magic("dlenv", NAME, "pass")
        times: dict[str, list[float]] = {"direct": [], "magic": [], "here": [], "notebook": []}
        for _ in range(ROUNDS):
            times["direct"].append(await _run(direct, "pass"))
            times["here"].append(await _run(through, "pass"))
            times["notebook"].append(await _run(through, cell))
            await asyncio.sleep(PAUSE)
            began = time.perf_counter()
            shell.run_cell_magic("dlenv", NAME, "pass")
            times["magic"].append(time.perf_counter() - began)
        through.stop_channels()
    await notebook.shutdown_kernel(now=True)
    await link.aclose()
    for which, pick in (("medians", statistics.median), ("fastest", min)):
        found = {name: pick(values) * 1000 for name, values in times.items()}
        direct, notebook = found["direct"], found["notebook"]
        print(json.dumps({name: round(value, 2) for name, value in found.items()}), "ms,", which)
        print(f"  the magic takes {found['magic'] / direct:.2f} of a direct execution")
        print(f"  a %%dlenv cell in a notebook takes {notebook / direct:.2f} of it, and adds "
              f"{(notebook - direct) / direct:.2f} to it,")  # fmt: skip
        print(
            f"  of which an empty cell of the notebook's own kernel is {found['here'] / direct:.2f}"
        )


async def _run(client: AsyncKernelClient, code: str) -> float:
    await asyncio.sleep(PAUSE)
    began = time.perf_counter()
    reply = await client.execute_interactive(code, output_hook=lambda _: None, allow_stdin=False)
    assert reply["content"]["status"] == "ok", reply
    return time.perf_counter() - began


def _measure_values() -> None:
    shell = _shell()
    shell.run_cell("import numpy; a = numpy.arange(12_500_000, dtype='f8')")
    shell.run_cell_magic("dlenv", f"{NAME} --in a --out a", "pass")
    for way in ("--in a", "--out a"):
        seconds = []
        for _ in range(7):
            began = time.perf_counter()
            shell.run_cell_magic("dlenv", f"{NAME} {way}", "pass")
            seconds.append(time.perf_counter() - began)
        print(f"100 MB {way}: {statistics.median(seconds) * 1000:.0f} ms")


def _shell() -> InteractiveShell:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    magics.load(shell)
    return shell


if __name__ == "__main__":
    main()
