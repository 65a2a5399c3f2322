"""The host's side of the agent, spoken to by agents that are not what they should be."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jupyter_dlenv.errors import AgentError, AgentUnreachableError, KernelStartError
from jupyter_dlenv.kernels.link import AgentLink, nobody_listens

HELLO = {
    "protocol": 1,
    "pid": 1,
    "python": "/usr/bin/python3",
    "python_version": "3.11.2",
    "ipykernel": "6.17.0",
    "uid": 0,
    "gid": 0,
    "home": "/root",
}
EXIT = {"event": "exit", "kernel_id": "k", "pid": 7, "exit_code": 3, "signal": 0, "log": "bye"}


@asynccontextmanager
async def agent_that_says(directory, *answers, hello=HELLO):
    """Answer ``hello``, and then each request with the next answer: lines, or the end."""
    remaining = [[{"ok": hello}], *answers]

    async def serve(reader, writer):
        while line := await reader.readline():
            if not remaining:
                continue
            for message in remaining.pop(0):
                if message is None:
                    writer.close()
                    return
                answer = message if "event" in message else {**json.loads(line), **message}
                writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, str(directory / "agent.sock"))
    async with server:
        yield


async def connect(directory):
    return await AgentLink.connect(directory, timeout=5)


async def test_nobody_at_the_socket_means_that_the_agent_has_ended(tmp_path):
    with pytest.raises(AgentUnreachableError) as caught:
        await connect(tmp_path)

    assert nobody_listens(caught.value)


async def test_silence_does_not_mean_that_the_agent_has_ended(tmp_path):
    async with agent_that_says(tmp_path) as _:
        pass
    server = await asyncio.start_unix_server(lambda r, w: None, str(tmp_path / "agent.sock"))
    async with server:
        with pytest.raises(AgentUnreachableError) as caught:
            await AgentLink.connect(tmp_path, timeout=0.05)

    assert not nobody_listens(caught.value)


async def test_a_path_that_no_socket_can_have_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(AgentUnreachableError, match="too long") as caught:
        await connect(Path("/tmp") / ("x" * 95))

    assert "runtime_dir" in caught.value.hint


@pytest.mark.parametrize("hello", [{**HELLO, "protocol": 2}, {"protocol": 1}])
async def test_an_agent_of_another_version_is_refused(tmp_path, hello):
    async with agent_that_says(tmp_path, hello=hello):
        with pytest.raises(AgentUnreachableError, match=r"protocol 2|not an agent"):
            await connect(tmp_path)


async def test_the_agents_own_words_arrive(tmp_path):
    error = {"code": "kernel-start", "message": "It ended.", "detail": "Traceback"}
    async with agent_that_says(tmp_path, [{"error": error}]):
        link = await connect(tmp_path)
        with pytest.raises(KernelStartError, match="It ended") as caught:
            await link.start_kernel("k", key="", env={}, cwd="")
        await link.aclose()

    assert "Traceback" == caught.value.detail


async def test_sockets_outside_of_the_directory_are_refused(tmp_path):
    async with agent_that_says(tmp_path, [{"ok": {"pid": 1, "prefix": "../../tmp/x"}}]):
        link = await connect(tmp_path)
        with pytest.raises(AgentError, match="impossible"):
            await link.start_kernel("k", key="", env={}, cwd="")
        await link.aclose()


async def test_an_end_is_known_to_who_asks_later(tmp_path):
    async with agent_that_says(tmp_path, [EXIT, {"ok": {"kernels": []}}]):
        link = await connect(tmp_path)
        await link.kernels()

        ended = link.exited("k").result()
        await link.aclose()

    assert (3, "bye") == (ended.exit_code, ended.log)


async def test_an_end_in_the_same_breath_as_the_start_is_not_missed(tmp_path):
    started = {"ok": {"pid": 7, "prefix": "k-00000000"}}
    async with agent_that_says(tmp_path, [started, EXIT]):
        link = await connect(tmp_path)
        await link.start_kernel("k", key="", env={}, cwd="")
        ended = await asyncio.wait_for(link.exited("k"), 5)
        await link.aclose()

    assert 3 == ended.exit_code


async def test_a_lost_link_fails_requests_but_ends_no_kernel(tmp_path):
    async with agent_that_says(tmp_path, [None]):
        link = await connect(tmp_path)
        ended = link.exited("k")

        with pytest.raises(AgentUnreachableError):
            await link.kernels()
        with pytest.raises(AgentUnreachableError):
            await link.signal("k", 9)

    assert link.closed.done()
    assert not ended.done()
    await link.aclose()
