"""The agent on the oldest Pythons that images have, as far as this machine has them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
from pathlib import Path

import pytest
from rig.agents import until

from jupyter_dlenv import agent
from jupyter_dlenv.access.relay import Place, Port, Relay
from jupyter_dlenv.kernels.link import AgentLink


def interpreters() -> list[str]:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    found = []
    for version in ("3.8", "3.9"):
        installed = sorted(home.glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        found += [str(path) for path in installed[:1]] or [shutil.which(f"python{version}")]
    return [path for path in found if path]


@pytest.mark.parametrize("python", interpreters() or [None])
async def test_an_old_python_answers_and_hands_over_sockets(python, tmp_path):
    if python is None:
        pytest.skip("This machine has neither Python 3.8 nor 3.9.")
    directory, home = tmp_path / "s", tmp_path / "own"
    for made in (directory, home):
        made.mkdir()
    folder = str(Path(agent.__file__).parent)
    command = (python, folder, "--directory", str(directory), "--home", str(home))
    # Nothing of the Python that runs the tests.
    variables = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(*command, env=variables)
    try:
        await until((directory / "agent.sock").exists)
        link = await AgentLink.connect(directory, timeout=5)
        place = Place(
            environment_id="i", owner="o", name="a", container_id="", runtime_dir=str(directory)
        )
        relay = Relay(None, None, agent="", directory="")
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as service:
            connected = await relay.connect(place, Port(service.getsockname()[1]))
            service.accept()[0].sendall(b"hello")
            received = await asyncio.get_running_loop().sock_recv(connected, 10)
        connected.close()

        assert link.hello.python_version.startswith("3.")
        assert b"hello" == received
        await link.aclose()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)
