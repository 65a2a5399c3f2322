"""``import torch`` in a kernel that has it already, beside a new kernel of this machine.

``python -m benchmarks.preload`` installs torch (the CPU build, 200 MB) and builds an
image that has the same files, so that both kernels import the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import docker
from rig import ask
from rig.images import Images

from jupyter_dlenv.models import EnvironmentSpec

from .measures import kernel
from .setting import Setting, setting
from .table import Samples

LOCAL, PRELOADED = "local python3", "environment, preloaded"
MEASURE = "Import in the first cell, ms"
_TAG = "dlenv-test/preload"
_DOCKERFILE = """\
FROM {base}
COPY site /usr/local/lib/python{version}/dist-packages
"""


async def main(requirement: str, module: str, count: int, samples: Samples) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="dlenv-preload-") as scratch,
        _image(Path(scratch), requirement),
    ):
        async with setting("docker") as place:
            _local_kernelspec(place, Path(scratch) / "site")
            spec = EnvironmentSpec(name="a", image=_TAG, env={"DLENV_PRELOAD": module})
            environment = await place.environments.launch(spec)
            server = place.server()
            await server.start()
            try:
                kernels = {LOCAL: "local", PRELOADED: environment.kernel_name}
                code = (
                    f"import time; began = time.perf_counter(); import {module}; "
                    "(time.perf_counter() - began) * 1000"
                )
                for _ in range(count):
                    for candidate in random.sample(list(kernels), 2):
                        async with kernel(server, kernels[candidate]) as page:
                            # A library may warn of something before.
                            *_, took = (await page.execute(code)).split()
                            samples.add(MEASURE, candidate, float(took))
                    # The next one imports meanwhile.
                    usual = statistics.median(samples.of(MEASURE, LOCAL)) / 1000
                    await asyncio.sleep(2 + 3 * usual)
            finally:
                await server.end(signal.SIGTERM)


@contextlib.contextmanager
def _image(scratch: Path, requirement: str):
    site = scratch / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-qq", "--target", str(site), requirement],
        check=True,
    )
    base = Images(ask.answering_url()).ensure("kernel")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    (scratch / "Dockerfile").write_text(_DOCKERFILE.format(base=base, version=version))
    with contextlib.closing(docker.from_env(timeout=600)) as client:
        client.images.build(path=str(scratch), tag=_TAG, rm=True, forcerm=True)
        try:
            yield
        finally:
            client.images.remove(_TAG, force=True)


def _local_kernelspec(place: Setting, site: Path) -> None:
    directory = place.directory / "data/kernels/local"
    directory.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "local", "env": {"PYTHONPATH": str(site)}}
    (directory / "kernel.json").write_text(json.dumps(spec))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirement", default="torch==2.13.0")
    parser.add_argument("--module", default="torch")
    parser.add_argument("--count", type=int, default=15)
    given = parser.parse_args()
    measured = Samples((LOCAL, PRELOADED))
    try:
        asyncio.run(main(given.requirement, given.module, given.count, measured))
    finally:
        print(measured.to_markdown())
