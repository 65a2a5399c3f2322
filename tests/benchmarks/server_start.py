"""What a driver costs a server that starts: nothing, as long as nobody looks at GPUs.

Servers with and without a driver start in turns, and what counts is the time that their
processes computed: a busy machine is busy for both, and a wait for others is no cost of ours.
The driver takes two seconds to open, which nobody could overlook in the seconds of the clock::

    cd tests && ../.venv/bin/python -m benchmarks.server_start
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import psutil
from rig import servers
from rig.nvml import FakeDriver, FakeNvml, build

ROUNDS = 6
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
        figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for number in range(ROUNDS):
            # Who is second finds warm caches: each is first as often as second.
            for name in sorted(environs, reverse=bool(number % 2)):
                environ = environs[name]
                figures["import, computed"][name].append(_import(environ))
                with servers.serving(_new(directory, f"{number}-{name[:5]}"), environ) as server:
                    computed = psutil.Process(server.pid).cpu_times()
                    figures["server, computed"][name].append(computed.user + computed.system)
                    figures["server, by the clock"][name].append(server.seconds)
        assert not fake.calls, fake.calls
    for what, seconds in figures.items():
        without, with_ = (statistics.median(seconds[name]) for name in environs)
        print(
            f"{what}: {without:.2f} s without, {with_:.2f} s with a driver: {with_ / without:.3f}"
        )


def _import(environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "import jupyter_dlenv.server.app, jupyter_dlenv.kernels.provisioner"
    subprocess.run([sys.executable, "-c", code], check=True, env=environ, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _new(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir()
    return path


if __name__ == "__main__":
    main()
