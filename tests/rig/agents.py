"""Agents as plain processes, and kernels of theirs that are talked to as Jupyter does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.asynchronous import AsyncKernelClient

from jupyter_dlenv import agent
from jupyter_dlenv.kernels.link import AgentLink, KernelProcess

KEY = "a-key-of-the-tests"
PORTS = {
    "shell_port": 1,
    "iopub_port": 2,
    "stdin_port": 3,
    "control_port": 4,
    "hb_port": 5,
}


@dataclass
class Agent:
    """A process that runs the agent in a directory of its own."""

    process: subprocess.Popen[bytes]
    directory: Path
    log: Path

    async def link(self) -> AgentLink:
        await until(lambda: (self.directory / "agent.sock").exists())
        return await AgentLink.connect(self.directory, timeout=5)

    async def ended(self) -> int:
        await until(lambda: self.process.poll() is not None)
        return self.process.returncode


@contextlib.contextmanager
def running(
    directory: Path,
    home: Path,
    env: Mapping[str, str] | None = None,
    *,
    python: str = sys.executable,
) -> Iterator[Agent]:
    """Run an agent; at the end it and its kernels are gone.

    Args:
        python: The interpreter of the agent and its kernels.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.mkdir(exist_ok=True)
    log = home / "agent.log"
    folder = str(Path(agent.__file__).parent)
    command = [python, folder, "--directory", str(directory), "--home", str(home)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **(env or {})}
        )
    try:
        yield Agent(process, directory, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def client_of(directory: Path, kernel: KernelProcess) -> AsyncIterator[AsyncKernelClient]:
    """Connect to a kernel over its ipc sockets."""
    client = AsyncKernelClient()
    client.load_connection_info(
        {
            "transport": "ipc",
            "ip": str(directory / kernel.prefix),
            "key": KEY.encode(),
            "signature_scheme": "hmac-sha256",
            **PORTS,
        }
    )
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        yield client
    finally:
        client.stop_channels()


async def execute(client: AsyncKernelClient, code: str) -> str:
    """Run code in a kernel; return what it printed, and the name of its error if it had one."""
    printed = []

    def hear(message):
        content = message["content"]
        printed.append(content.get("text") or content.get("ename") or "")

    await client.execute_interactive(
        code,
        timeout=60,
        allow_stdin=False,
        output_hook=hear,
        # What comes right after an error is else thrown away as the rest of a queue.
        stop_on_error=False,
    )
    return "".join(printed).strip()


async def until(condition, limit: float = 15) -> None:
    """Return when the condition holds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@contextlib.asynccontextmanager
async def managed_client(manager):
    """Talk with the kernel of a manager, from the moment when it answers."""
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
