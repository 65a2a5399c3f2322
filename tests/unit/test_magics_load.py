"""The magics are there in every kernel beside jupyter_dlenv, and cost its start nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What a wheel puts into ``etc/ipython`` of the Python that it is installed in.
SHIPPED = ROOT / "jupyter_dlenv/etc/ipython/ipython_kernel_config.json"

PROBE = """
import json, sys
from ipykernel.kernelapp import IPKernelApp

app = IPKernelApp.instance()
app.initialize(["--quiet"])
magics = app.shell.magics_manager.magics
heavy = [name for name in ("docker", "click", "jupyter_dlenv.cli") if name in sys.modules]
said = json.dumps([[k for k in ("line", "cell") if "dlenv" in magics[k]], heavy])
print(said, file=sys.__stdout__, flush=True)
"""


def test_a_kernel_has_the_magics_and_has_imported_nothing_for_them(tmp_path, monkeypatch):
    profile = tmp_path / "profile_default"
    profile.mkdir()
    shutil.copy(SHIPPED, profile)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))

    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert [["line", "cell"], []] == json.loads(done.stdout.splitlines()[-1])
