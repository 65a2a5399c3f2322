"""A kernel in a container as anybody would start it by hand, to compare with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path

import docker
from jupyter_client.asynchronous import AsyncKernelClient
from rig.agents import PORTS

from .measures import since


async def docker_run(image: str) -> float:
    """Return how long ``docker run`` of an image takes to its first result, in ms."""
    directory = Path(tempfile.mkdtemp(prefix="dlf-", dir="/tmp"))
    info = {
        "transport": "ipc",
        "key": "k",
        "signature_scheme": "hmac-sha256",
        "kernel_name": "",
        **PORTS,
    }
    (directory / "c.json").write_text(json.dumps({**info, "ip": "/run/k/k"}))
    with contextlib.closing(docker.from_env()) as engine:
        began = time.perf_counter()
        container = await asyncio.to_thread(
            engine.containers.run,
            image,
            ["python3", "-m", "ipykernel_launcher", "-f", "/run/k/c.json"],
            entrypoint="",
            detach=True,
            volumes={str(directory): {"bind": "/run/k", "mode": "rw"}},
        )
        try:
            client = AsyncKernelClient()
            client.load_connection_info({**info, "key": b"k", "ip": str(directory / "k")})
            # A heart that beats late is no death: the interpreter starts meanwhile.
            client.start_channels(hb=False)
            await client.wait_for_ready(timeout=60)
            await client.execute_interactive("6 * 7", output_hook=lambda _: None, timeout=60)
            took = since(began)
            client.stop_channels()
            return took
        finally:
            await asyncio.to_thread(container.remove, force=True)
            shutil.rmtree(directory, ignore_errors=True)
