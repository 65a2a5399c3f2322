"""What nobody thought of: every door says so in a sentence, and none shows a traceback.

An engine that answers with nonsense stands for all of it.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from rig import odd_engine

from jupyter_dlenv.errors import KernelStartError

PROGRAM = Path(sys.executable).with_name("jupyter-dlenv")


@pytest.fixture
def odd(tmp_path):
    with odd_engine.serve(tmp_path / "odd.sock") as address:
        yield address


@pytest.mark.parametrize("words", [("launch", "python:3"), ("list",), ("pull", "a:1")])
def test_the_command_line_keeps_the_traceback_in_a_file(odd, tmp_path, words):
    done = subprocess.run(
        [PROGRAM, "--engine", odd, *words, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    error = json.loads(done.stdout)["error"]
    [log] = tmp_path.glob("jupyter-dlenv-*.log")
    assert (1, "internal-error") == (done.returncode, error["code"])
    assert "Traceback" not in done.stdout + done.stderr
    assert str(log) in error["hint"]
    assert "KeyError" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_a_kernel_start_says_one_sentence(odd, tmp_path, monkeypatch):
    monkeypatch.setenv("DLENV_ENGINE", odd)
    spec = {
        "argv": [],
        "display_name": "a",
        "language": "python",
        "metadata": {
            "kernel_provisioner": {
                "provisioner_name": "dlenv-provisioner",
                "config": {"environment": "a", "engine": odd},
            }
        },
    }
    (tmp_path / "kernels/dlenv-a").mkdir(parents=True)
    (tmp_path / "kernels/dlenv-a/kernel.json").write_text(json.dumps(spec))
    specs = KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])
    manager = AsyncIOLoopKernelManager(kernel_name="dlenv-a", kernel_spec_manager=specs)

    with pytest.raises(KernelStartError) as caught:
        await manager.start_kernel()

    assert "The kernel could not be started" in str(caught.value)
    assert "KeyError" not in str(caught.value)
