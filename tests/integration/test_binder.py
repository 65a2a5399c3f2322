"""What Binder shows: the tour runs from its first cell to its last, and says what is simulated.

Whether Binder can build it is asked by ``make binder-check``, which takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from rig.nvml import SONAME

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"


def test_the_tour_runs_on_gpus_that_say_that_they_are_simulated(library, tmp_path):
    place = tmp_path / "binder"
    shutil.copytree(BINDER, place, ignore=shutil.ignore_patterns("driver"))
    (place / "driver").mkdir()
    shutil.copy(library, place / "driver" / SONAME)

    execute = Path(sys.executable).with_name("jupyter-execute")
    done = subprocess.run(
        [place / "start", execute, "--timeout=60", "--inplace", "tour.ipynb"],
        cwd=place,
        env={**os.environ, "JUPYTER_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    notebook = nbformat.read(place / "tour.ipynb", 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = json.dumps(outputs)
    assert "Simulated" in notebook.cells[0].source
    assert "H100 (simulated)" in shown
    assert "GPUs in here: GPU-00000000-0000-4000-8000-000000000000,GPU-00000001-" in shown
    assert "environment tour of" in shown
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert "'tour' is removed." in shown


def test_every_gpu_and_jupyterlab_itself_say_what_is_simulated():
    gpus = [line for line in (BINDER / "gpus.conf").read_text().splitlines() if line[:3] == "gpu"]
    banner = json.loads((BINDER / "overrides.json").read_text())["jupyterlab-topbar-text:plugin"]

    assert gpus
    assert all("(simulated)" in line for line in gpus)
    assert "Simulated" in banner["text"]
    assert "jupyterlab-topbar-text" in (BINDER / "requirements.txt").read_text()
    assert all(os.access(BINDER / name, os.X_OK) for name in ("postBuild", "start"))
