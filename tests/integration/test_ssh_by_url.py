"""Everything that people do with SSH, with nothing but the URL of a Jupyter server."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from rig import hub as hubs
from rig import jupyter, ssh
from rig.ssh_home import Home

from jupyter_dlenv.access.client import url_block
from jupyter_dlenv.access.ssh_proxy import VARIABLE
from jupyter_dlenv.reach import authorize

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not all(map(shutil.which, ("ssh", "scp", "sftp", "rsync", "ssh-agent"))),
        reason="SSH's programs are missing: python -m rig.tools ssh",
    ),
]


@pytest.fixture(scope="module")
def home(run_id, docker_engine_url, images):
    """Launch one environment with an SSH server, which lets the laptop's key in."""
    directory = Path(tempfile.mkdtemp(prefix="dl-", dir="/tmp"))
    home = Home(f"{run_id}-{uuid.uuid4().hex[:6]}", directory)
    key = ssh.make_key(directory / "laptop")
    try:
        home.launch(images.ensure("ssh"))
        home.do(lambda environments: authorize(environments, "a", (key,)))
        yield home
    finally:
        home.remove_all()
        shutil.rmtree(directory)


@pytest.fixture
def settings(home, docker_engine_url):
    """Return what a server has to be told to find the environment of ``home``."""
    return {
        "engine": docker_engine_url,
        "owner": home.owner,
        "data_dir": str(home.directory / "data"),
        "runtime_dir": str(home.directory / "run"),
    }


@pytest.fixture
def laptop(home, monkeypatch):
    """Return a function that gives a laptop which has our block in its ssh_config, and a token."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def client(url: str, token: str) -> ssh.Client:
        monkeypatch.setenv(VARIABLE, token)
        own_key = f"Host *\n  IdentityFile {home.directory / 'laptop'}\n  BatchMode yes\n"
        return home.client(write=url_block, before=own_key, url=url)

    return client


@pytest.mark.parametrize(
    ("base", "checks"),
    [("/", ssh.SHORT), ("/at/a%40place/", (*ssh.SHORT, *ssh.LONG))],
    ids=["plain", "base-url"],
)
def test_ssh_works_through_the_url_of_a_server(laptop, settings, tmp_path, base, checks):
    """Earns its time: the nine things that people do, with the settings that we write for them."""
    with jupyter.running(tmp_path, settings, base=base) as server:
        client = laptop(server.url, server.token)
        for check in checks:
            check(client)


def test_ssh_works_through_a_hub_and_its_proxy(hub_proxy, laptop, settings, tmp_path, monkeypatch):
    """Earns its time: the hub's tokens and its proxy are what URL-only users really have."""
    variables = jupyter.configuration(tmp_path / "etc", settings)
    with hubs.running(tmp_path / "hub", {**variables, "PATH": os.environ["PATH"]}) as hub:
        hub.start_server()
        client = laptop(hub.user_url, hub.user_token())

        ssh.battery(client)
        monkeypatch.setenv(VARIABLE, "forged")
        refused = client.try_to("true")

    assert 255 == refused.returncode
    assert b"Forbidden" in refused.stderr
