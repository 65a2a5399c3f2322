"""What a notebook needs of a kernel, with old and new versions of ipykernel.

``python -m benchmarks.ipykernels`` makes a virtual environment for each version, runs an agent in
it, and prints a table of what works.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from jupyter_client.asynchronous import AsyncKernelClient
from rig import agents
from rig.agents import KEY, client_of, execute

from jupyter_dlenv.kernels.link import AgentLink, KernelProcess

VERSIONS = ("6.17.1", "6.29.5", "6.30.1", "")
_ECHO = """
from ipykernel.comm import Comm
def opened(comm, message):
    comm.on_msg(lambda m: comm.send(m["content"]["data"], buffers=[bytes(b) for b in m["buffers"]]))
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""
_PATIENCE = 30.0


class Essentials:
    """One agent with one version of ipykernel."""

    def __init__(self, agent: agents.Agent, link: AgentLink) -> None:
        self._directory = agent.directory
        self._link = link
        self._kernel: KernelProcess

    async def warm_start(self) -> str:
        # The one that is ready has to come first.
        await agents.until(lambda: list(self._directory.glob("k-*-6")), 60)
        self._kernel = await self._link.start_kernel("k", key=KEY, env={}, cwd="")
        return await self._executed("print(6 * 7)", "42")

    async def interrupt(self) -> str:
        # ipykernel answers nothing to a request that it reads while the signal comes.
        begun = self._directory.parent / "begun"
        code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
        async with client_of(self._directory, self._kernel) as client:
            cell = asyncio.ensure_future(execute(client, code))
            await agents.until(begun.exists, _PATIENCE)
            await self._link.signal("k", signal.SIGINT)
            return _expect("KeyboardInterrupt", await cell)

    async def restart(self) -> str:
        await self._executed("x = 1; print(x)", "1")
        await self._link.signal("k", signal.SIGKILL)
        await self._link.exited("k")
        self._kernel = await self._link.start_kernel(
            "k", key=KEY, env={}, cwd="", prefix=self._kernel.prefix
        )
        return await self._executed("x", "NameError")

    async def stdin(self) -> str:
        async with client_of(self._directory, self._kernel) as client:
            client.execute("name = input('who? ')")
            asked = await client.get_stdin_msg(timeout=_PATIENCE)
            client.input("me")
            await client.get_shell_msg(timeout=_PATIENCE)
            answer = await execute(client, "print(name)")
            return _expect(("who? ", "me"), (asked["content"]["prompt"], answer))

    async def comm_with_buffers(self) -> str:
        sent = [bytes(range(256)) * 4000, b""]
        async with client_of(self._directory, self._kernel) as client:
            await execute(client, _ECHO)
            opening = {"comm_id": "c", "target_name": "echo", "data": {}}
            client.session.send(client.shell_channel.socket, "comm_open", opening)
            message = {"comm_id": "c", "data": {"n": 1}}
            client.session.send(client.shell_channel.socket, "comm_msg", message, buffers=sent)
            while True:
                heard = await client.get_iopub_msg(timeout=_PATIENCE)
                if heard["msg_type"] == "comm_msg":
                    return _expect(sent, [bytes(b) for b in heard["buffers"]])

    async def subshell(self) -> str:
        async with client_of(self._directory, self._kernel) as client:
            info = await _reply(client, "kernel_info_request")
            if "kernel subshells" not in info["content"].get("supported_features", []):
                return "not supported"
            created = await _reply(client, "create_subshell_request")
            message = client.session.msg(
                "execute_request",
                {"code": "print('sub')", "silent": False, "allow_stdin": False},
                header=None,
            )
            message["header"]["subshell_id"] = created["content"]["subshell_id"]
            client.execute("import time; time.sleep(1)")
            client.shell_channel.send(message)
            heard = await client.get_shell_msg(timeout=_PATIENCE)
            return _expect(message["header"]["msg_id"], heard["parent_header"]["msg_id"])

    async def debugger(self) -> str:
        async with client_of(self._directory, self._kernel) as client:
            content = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
            reply = await _reply(client, "debug_request", content)
            return _expect(True, reply["content"].get("success"))

    async def record(self) -> str:
        from jupyter_dlenv.kernels.record import fetch

        kept = await fetch(self._directory / f"{self._kernel.prefix}-6")
        return _expect(True, len(kept.messages) > 0)

    async def idle_time(self) -> str:
        await self._link.stop_when_idle(0, own_system=False)
        await self._executed("print('here')", "here")
        idle = await self._link.idle_time()
        return _expect(("kernel", True), (idle.last_use, idle.seconds < 30))

    async def _executed(self, code: str, expected: str) -> str:
        async with client_of(self._directory, self._kernel) as client:
            return _expect(expected, await execute(client, code))


STEPS: tuple[tuple[str, Callable[[Essentials], Awaitable[str]]], ...] = (
    ("start, warm", Essentials.warm_start),
    ("interrupt", Essentials.interrupt),
    ("restart", Essentials.restart),
    ("stdin", Essentials.stdin),
    ("comm with buffers", Essentials.comm_with_buffers),
    ("subshell", Essentials.subshell),
    ("debugger", Essentials.debugger),
    ("record", Essentials.record),
    ("idle time", Essentials.idle_time),
)


async def _reply(client: AsyncKernelClient, kind: str, content: dict | None = None) -> dict:
    message = client.session.msg(kind, content or {})
    client.control_channel.send(message)
    while True:
        reply = await client.get_control_msg(timeout=_PATIENCE)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return reply


def _expect(wanted: object, found: object) -> str:
    return "yes" if wanted == found else f"**{found!r:.60}**"


def new_venv(directory: Path, version: str) -> str:
    """Return an interpreter that has a version of ipykernel."""
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    requirement = f"ipykernel=={version}" if version else "ipykernel"
    subprocess.run([str(directory / "bin/pip"), "install", "-qq", requirement], check=True)
    return str(directory / "bin/python")


async def check(version: str, scratch: Path) -> dict[str, str]:
    python = await asyncio.to_thread(new_venv, scratch / "venv", version)
    with agents.running(scratch / "s", scratch / "home", python=python) as agent:
        link = await agent.link()
        essentials = Essentials(agent, link)
        results = {"ipykernel": link.hello.ipykernel}
        for name, step in STEPS:
            try:
                results[name] = await asyncio.wait_for(step(essentials), 2 * _PATIENCE)
            except Exception as error:  # noqa: BLE001 - it is what the table shows
                results[name] = f"**{type(error).__name__}: {error}**"
        await link.aclose()
    return results


async def main(versions: list[str]) -> bool:
    columns = []
    for version in versions:
        with tempfile.TemporaryDirectory(prefix="dlk-", dir="/tmp") as scratch:
            columns.append(await check(version, Path(scratch)))
    for name in ("ipykernel", *(name for name, _ in STEPS)):
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")
        if name == "ipykernel":
            print("| --- " * (len(columns) + 1) + "|")
    return not any("**" in value for column in columns for value in column.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=list(VERSIONS))
    sys.exit(0 if asyncio.run(main(parser.parse_args().versions)) else 1)
