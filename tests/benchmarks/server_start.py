"""What a driver costs a server that starts: nothing, as long as nobody looks at GPUs.

Servers with and without a driver start in turns, so that a busy machine is busy for both::

    cd tests && ../.venv/bin/python -m benchmarks.server_start
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rig import servers
from rig.nvml import FakeDriver, FakeNvml, build

ROUNDS = 12
#: As slow as a driver without persistence mode.
SLOW = FakeDriver(init_delay_ms=2000)


def main() -> None:
    """Measure, and print the medians and their ratio."""
    with tempfile.TemporaryDirectory(prefix="dl-") as scratch:
        directory = Path(scratch)
        fake = FakeNvml(build(directory), directory)
        fake.configure(SLOW)
        environs = {
            "without a driver": {**os.environ, "LD_LIBRARY_PATH": ""},
            "with a slow driver": fake.environ,
        }
        imports: dict[str, list[float]] = {name: [] for name in environs}
        starts: dict[str, list[float]] = {name: [] for name in environs}
        for number in range(ROUNDS):
            for name, environ in environs.items():
                imports[name].append(_import(environ))
                with servers.serving(_new(directory, f"{number}-{name[:5]}"), environ) as server:
                    starts[name].append(server.seconds)
        assert not fake.calls, fake.calls
    for what, seconds in (("import of the extension", imports), ("server answers", starts)):
        without, with_ = (statistics.median(values) for values in seconds.values())
        print(
            f"{what}: {without:.3f} s without, {with_:.3f} s with a driver: {with_ / without:.3f}"
        )


def _import(environ: dict[str, str]) -> float:
    began = time.monotonic()
    code = "import jupyter_dlenv.server.app, jupyter_dlenv.kernels.provisioner"
    subprocess.run([sys.executable, "-c", code], check=True, env=environ, timeout=60)
    return time.monotonic() - began


def _new(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir()
    return path


if __name__ == "__main__":
    main()
