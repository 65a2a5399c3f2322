"""A Jupyter server in a process of its own is killed, stopped and started again: kernels stay."""

from __future__ import annotations

import random
import signal
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from benchmarks.survival import trial
from rig.server import Page, Server, free_port
from tornado.httpclient import HTTPClientError

from jupyter_dlenv.kernels.link import AgentLink

#: Counts until a file is there.
COUNT = """
import os, time
number = 0
while not os.path.exists("{go}"):
    print(number)
    number += 1
    time.sleep(0.05)
x += 1
x
"""
WAIT = """
import os, time
while not os.path.exists("{go}"):
    time.sleep(0.05)
print("not", "shown")
"""

pytestmark = [
    pytest.mark.usefixtures("configured"),
    pytest.mark.parametrize("engine_name", ["process"], indirect=True),
]


@pytest.fixture
def environment(environments, spec, jp_asyncio_loop, monkeypatch):
    monkeypatch.setenv("DLENV_ENGINE", "process")
    return jp_asyncio_loop.run_until_complete(environments.launch(spec))


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


@pytest.fixture
def server(root, tmp_path, environment, jp_asyncio_loop):
    server = Server(root, tmp_path / "server.log")
    jp_asyncio_loop.run_until_complete(server.start())
    yield server
    if server.process.poll() is None:
        jp_asyncio_loop.run_until_complete(server.end())


@asynccontextmanager
async def page_of(server, kernel_id):
    page = Page(server, kernel_id)
    await page.connect()
    try:
        yield page
    finally:
        await page.aclose()


async def running(environment):
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)
    try:
        return {k["kernel_id"]: k["pid"] for k in await link.kernels() if k["exit_code"] is None}
    finally:
        await link.aclose()


def assert_nothing_twice(page):
    ids = Counter(message["header"]["msg_id"] for message in page.received)
    assert [] == [identifier for identifier, count in ids.items() if count > 1]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_busy_kernel_its_notebook_and_its_output_survive_a_server_that_was_killed_twice(
    server, environment, root
):
    """Worth its time: with every peer a server that ends takes the work with it."""
    session = await server.open_notebook("n.ipynb", environment.kernel_name)
    kernel_id = session["kernel"]["id"]
    async with page_of(server, kernel_id) as page:
        await page.execute("x = 41")
        request = await page.begin(COUNT.format(go=root / "go"))
        await page.until(lambda: "3\n" in page.output(request))

        for _ in range(2):
            await server.end(signal.SIGKILL)
            await server.start()
            [found] = await server.get("/api/sessions")
            await page.connect()

        assert session["id"] == found["id"]
        assert ("n.ipynb", "notebook", kernel_id) == (
            found["path"],
            found["type"],
            found["kernel"]["id"],
        )
        assert "busy" == found["kernel"]["execution_state"]
        (root / "go").touch()
        await page.until(lambda: page.is_done(request))
        *lines, value = page.output(request).split("\n")
        assert [str(number) for number in range(len(lines))] == lines
        assert "42" == value
        assert_nothing_twice(page)
        assert "42" == await page.execute("x")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_all_that_can_be_done_to_a_kernel_can_be_done_after_the_tenth_server(
    server, environment, root
):
    """Worth its time: each re-attachment works on what the one before it has left."""
    session = await server.open_notebook("n.ipynb", environment.kernel_name)
    kernel_id = session["kernel"]["id"]
    [pid] = (await running(environment)).values()
    kernel = f"/api/kernels/{kernel_id}"
    async with page_of(server, kernel_id) as page:
        await page.execute("x = 0")
        for number in range(1, 11):
            # Two ways to end, and another port each time.
            await server.end(signal.SIGTERM if number % 2 else signal.SIGKILL)
            await server.start(port=free_port())
            await page.connect()
            assert str(number) == await page.execute("x += 1; x")
        assert {kernel_id: pid} == await running(environment)

        sleep = await page.begin("import time; time.sleep(60)")
        await page.until(lambda: page.of(sleep))
        await server.ask("POST", f"{kernel}/interrupt")
        await page.until(lambda: page.is_done(sleep), 5)
        await server.ask("PATCH", f"/api/sessions/{session['id']}", {"path": "renamed.ipynb"})
        await server.ask("POST", f"{kernel}/restart")
        assert "NameError" == await page.execute("x")
        await page.begin("import os; os._exit(3)")
        await until_autorestarted(page)
        last_exit = await server.get(f"/dlenv/api/kernels/{kernel_id}/last-exit")
        await server.end(signal.SIGKILL)
        await server.start()
        [found] = await server.get("/api/sessions")
        await server.ask("DELETE", f"/api/sessions/{session['id']}")

    assert ("exit", 3) == (last_exit["cause"], last_exit["exit_code"])
    assert "renamed.ipynb" == found["path"]
    assert [] == await server.get("/api/kernels")
    assert {} == await running(environment)
    assert [] == list((Path(environment.runtime_dir).parent / "seen").iterdir())


async def until_autorestarted(page):
    await page.until(
        lambda: any(m["content"].get("execution_state") == "restarting" for m in page.received), 2
    )
    # ZeroMQ drops what the new kernel publishes before the server is connected anew.
    await page.answered_again()


@pytest.mark.timeout(120)
async def test_another_page_gets_what_nobody_was_shown_and_two_servers_share_no_kernel(
    server, environment, root, tmp_path
):
    session = await server.open_notebook("n.ipynb", environment.kernel_name)
    kernel_id = session["kernel"]["id"]
    async with page_of(server, kernel_id) as page:
        await page.execute("print('shown')")
        request = await page.begin(WAIT.format(go=root / "go"))
        await page.until(lambda: page.of(request))
        other = Server(root, tmp_path / "other.log")
        await other.start()
        try:
            assert [] == await other.get("/api/kernels")
            await server.end(signal.SIGKILL)
            (root / "go").touch()
            await server.start()
        finally:
            await other.end(signal.SIGTERM)

        async with page_of(server, kernel_id) as another:
            await another.until(lambda: "not shown" in str(another.received))
            assert "print('shown')" not in str(another.received)
    assert [kernel_id] == [k["id"] for k in await server.get("/api/kernels")]


async def test_a_kernel_that_the_user_shuts_down_does_not_come_back(server, environment):
    session = await server.open_notebook("n.ipynb", environment.kernel_name)
    await server.ask("DELETE", f"/api/kernels/{session['kernel']['id']}")

    await server.end(signal.SIGTERM)
    await server.start()

    assert [] == await server.get("/api/kernels")
    assert [] == await server.get("/api/sessions")
    assert {} == await running(environment)


async def test_of_a_kernel_that_never_died_no_end_is_told(server):
    with pytest.raises(HTTPClientError) as answered:
        await server.get("/dlenv/api/kernels/no-such/last-exit")

    assert 404 == answered.value.code


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_nothing_is_lost_or_twice_however_often_the_server_is_killed(server, environment):
    """Worth its time: random moments find what chosen ones do not; fifty are a benchmark."""
    assert [] == await trial(server, environment, rounds=5, seed=random.randrange(1000))
