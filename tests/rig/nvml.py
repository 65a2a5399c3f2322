"""A driver library to test with: which GPUs it has is written into a file, at any moment.

Only a process that is started with ``FakeNvml.environ`` loads it: where a library is looked
for cannot be changed in a process that runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nvml") / "fake_nvml.c"
SONAME = "libnvidia-ml.so.1"
MIB = 1024**2
#: Of the driver's ancestors of two GPUs.
SWITCH, SWITCHES, HOST_BRIDGE, NODE, SYSTEM = 10, 20, 30, 40, 50


@dataclass(frozen=True, kw_only=True)
class FakeProcess:
    """A process on a GPU; the driver may not tell how much memory it has."""

    pid: int
    memory: int | None = None
    kind: str = "C"


@dataclass(frozen=True, kw_only=True)
class FakeMig:
    """A part of a GPU; their indices may have gaps."""

    index: int
    used: int = 0
    total: int = 10 * 1024 * MIB
    processes: Sequence[FakeProcess] = ()


@dataclass(frozen=True, kw_only=True)
class FakeGpu:
    """A GPU, idle unless something else is said; ``error`` is a number of the driver's."""

    used: int = 0
    reserved: int = 528 * MIB
    total: int = 81559 * MIB
    utilization: int = 0
    temperature: int = 31
    power: int = 72_000
    power_limit: int = 700_000
    name: str = "NVIDIA H100 80GB HBM3"
    capability: int = 90
    lost: bool = False
    error: int = 0
    processes: Sequence[FakeProcess] = ()
    migs: Sequence[FakeMig] = ()


@dataclass(frozen=True, kw_only=True)
class FakeDriver:
    """A driver and its GPUs.

    Attributes:
        init_error: What every call returns, such as 9, 12 or 18; 0 is none.
        missing: Functions that the library does not have, as an old one.
        nvlinks: Pairs of indices; other pairs are in one node or, beyond four, in two.
    """

    version: str = "580.95.05"
    cuda: int = 13000
    init_error: int = 0
    init_delay_ms: int = 0
    missing: Sequence[str] = ()
    gpus: Sequence[FakeGpu] = (FakeGpu(),) * 8
    nvlinks: Sequence[tuple[int, int]] = ()
    levels: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def with_gpu(self, index: int, gpu: FakeGpu) -> FakeDriver:
        """Return the same driver with another GPU at an index."""
        return replace(self, gpus=(*self.gpus[:index], gpu, *self.gpus[index + 1 :]))


class FakeNvml:
    """The library, built, and its configuration."""

    def __init__(self, library: Path, directory: Path) -> None:
        self.library = library
        self._file = directory / "gpus.conf"
        self._calls = directory / "calls.log"
        self.configure(FakeDriver())

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of a process that is to have these GPUs."""
        return {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.library.parent),
            "FAKE_NVML_CONFIG": str(self._file),
            "FAKE_NVML_CALLS": str(self._calls),
        }

    @property
    def calls(self) -> list[str]:
        """Return the names of all functions that were called so far."""
        return self._calls.read_text().split() if self._calls.exists() else []

    def configure(self, driver: FakeDriver) -> None:
        """Make the GPUs, also those of a process that runs, what ``driver`` says."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text("\n".join(lines(driver)) + "\n")
        scratch.replace(self._file)


def build(directory: Path) -> Path:
    """Compile the library into a directory; where there is no compiler, skip (but not in CI)."""
    if shutil.which("cc") is None and not os.environ.get("CI"):
        pytest.skip("There is no C compiler.")
    library = directory / SONAME
    subprocess.run(
        [
            *("cc", "-shared", "-fPIC", "-O1", "-fvisibility=hidden", f"-Wl,-soname,{SONAME}"),
            *("-o", str(library), str(SOURCE), "-lpthread"),
        ],
        check=True,
        timeout=60,
    )
    return library


def gpu_uuid(index: int) -> str:
    return f"GPU-{index:08x}-0000-4000-8000-000000000000"


def mig_uuid(gpu: int, index: int) -> str:
    return f"MIG-{gpu:08x}-{index:04x}-4000-8000-000000000000"


def lines(driver: FakeDriver) -> list[str]:
    """Return the lines of the configuration."""
    missing = {"missing": ",".join(driver.missing)} if driver.missing else {}
    found = [
        _line(
            "driver",
            version=driver.version,
            cuda=driver.cuda,
            init_error=driver.init_error,
            init_delay_ms=driver.init_delay_ms,
            **missing,
        )
    ]
    for index, gpu in enumerate(driver.gpus):
        values = vars(gpu) | {"mig": int(bool(gpu.migs)), "lost": int(gpu.lost)}
        values = {k: v for k, v in values.items() if k not in ("migs", "processes")}
        found.append(_line("gpu", index=index, uuid=gpu_uuid(index), **values))
        found += [_process(index, -1, p) for p in gpu.processes]
        for mig in gpu.migs:
            name = f"{gpu.name} MIG 1g.10gb"
            uuid = mig_uuid(index, mig.index)
            found.append(
                _line("mig", gpu=index, index=mig.index, uuid=uuid, name=name)
                + f"\ttotal={mig.total}\tused={mig.used}"
            )
            found += [_process(index, mig.index, p) for p in mig.processes]
    for a in range(len(driver.gpus)):
        for b in range(a + 1, len(driver.gpus)):
            level = driver.levels.get((a, b), NODE if a // 4 == b // 4 else SYSTEM)
            nvlink = int((a, b) in driver.nvlinks)
            found.append(_line("link", a=a, b=b, level=level, nvlink=nvlink))
    return found


def _process(gpu: int, mig: int, process: FakeProcess) -> str:
    memory = {} if process.memory is None else {"memory": process.memory}
    return _line("process", gpu=gpu, mig=mig, pid=process.pid, kind=process.kind, **memory)


def _line(word: str, **values: object) -> str:
    return "\t".join([word, *(f"{key}={value}" for key, value in values.items())])
