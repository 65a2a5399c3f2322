"""What reaches environments through a real JupyterHub and its proxy."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rig import hub as hubs

from jupyter_dlenv.access import ssh_proxy


@pytest.fixture
def hub(tmp_path, jp_environ):
    if not hubs.proxy():
        pytest.skip("There is no npm to install JupyterHub's proxy with.")
    values = {
        "engine": "process",
        "data_dir": str(tmp_path / "d"),
        "runtime_dir": str(tmp_path / "r"),
    }
    (tmp_path / "etc").mkdir(exist_ok=True)
    config = {"Configuration": values}
    (tmp_path / "etc/jupyter_dlenv_config.json").write_text(json.dumps(config))
    enable = {"ServerApp": {"jpserver_extensions": {"jupyter_dlenv": True}}}
    (tmp_path / "etc/jupyter_server_config.json").write_text(json.dumps(enable))
    variables = {"JUPYTER_CONFIG_PATH": str(tmp_path / "etc"), "HOME": str(tmp_path / "hub/home")}
    with hubs.running(tmp_path / "hub", {**variables, "PATH": os.environ["PATH"]}) as running:
        yield running


def through(url: str, token: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, ssh_proxy.__file__, url, "a"],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, ssh_proxy.VARIABLE: token},
    )


@pytest.mark.slow
def test_the_ssh_stream_passes_a_hub_and_its_proxy(hub, tmp_path):
    """Earns its time: the hub's tokens and its proxy are what persona "URL only" really has."""
    hub.start_server()
    api = f"user/{hubs.USER}/dlenv/api"
    token = hub.user_token()
    job = json.loads(hub.ask("POST", f"{api}/environments", {"name": "a", "image": "python"}))
    end = time.monotonic() + 30
    while not (job := json.loads(hub.ask("GET", f"{api}/jobs/{job['id']}")))["ended"]:
        assert time.monotonic() < end
    assert "ready" == job["phase"]
    (directory,) = (tmp_path / "r").glob("*/s")
    (directory / "ssh-stream").write_text("exec cat\n")
    data = random.Random(7).randbytes(5_000_000)

    passed = through(hub.user_url, token, data)
    forged = through(hub.user_url, "forged", b"")
    hub.ask("DELETE", f"{api}/environments/a")

    assert (0, b"") == (passed.returncode, passed.stderr)
    assert data == passed.stdout
    assert 1 == forged.returncode
    assert not Path(directory).exists()
