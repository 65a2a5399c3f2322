"""The agent as a plain process: kernels start, answer, end, and nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from pathlib import Path

import pytest
from rig import agents
from rig.agents import KEY, client_of, execute, is_alive, until

from jupyter_dlenv.errors import AgentError, KernelStartError
from jupyter_dlenv.kernels import record


@pytest.fixture
def library(tmp_path):
    """Return a directory that is on the path of kernels."""
    directory = tmp_path / "lib"
    directory.mkdir()
    return directory


@pytest.fixture
def start_agent(tmp_path, library):
    """Return a context manager that runs an agent in the same directory each time."""

    def start(warm=0, **more):
        variables = {
            "PYTHONPATH": str(library),
            "JPY_PARENT_PID": "1",
            "DLENV_TEST": "from-agent",
            # Python may write byte code, as everywhere, whatever the machine of the tests says.
            "PYTHONDONTWRITEBYTECODE": "",
        }
        variables["DLENV_WARM_KERNELS"] = str(warm)
        return agents.running(tmp_path / "s", tmp_path / "home", {**variables, **more})

    return start


@pytest.fixture
def agent(start_agent):
    with start_agent(warm=1) as running:
        yield running


@pytest.fixture
def cold_agent(start_agent):
    with start_agent() as running:
        yield running


async def start(link, kernel_id="k", *, env=None, cwd="", prefix=""):
    return await link.start_kernel(kernel_id, key=KEY, env=env or {}, cwd=cwd, prefix=prefix)


async def test_hello_tells_who_runs_kernels_and_with_what(agent, tmp_path):
    link = await agent.link()

    assert (os.getuid(), os.getgid()) == (link.hello.uid, link.hello.gid)
    assert str(tmp_path / "home") == link.hello.home
    assert link.hello.ipykernel
    await link.aclose()


async def test_a_kernel_has_the_variables_and_the_directory_that_were_asked_for(agent, tmp_path):
    link = await agent.link()
    kernel = await start(link, env={"COLOUR": "blue"}, cwd=str(tmp_path))

    async with client_of(agent.directory, kernel) as client:
        seen = await execute(
            client,
            "import os; print(os.getcwd(), os.environ['COLOUR'], os.environ['DLENV_TEST'],"
            " os.environ['HOME'], 'JPY_PARENT_PID' in os.environ)",
        )

    assert f"{tmp_path} blue from-agent {tmp_path / 'home'} False" == seen
    await link.aclose()


async def test_a_missing_directory_is_replaced_by_home_and_noted_in_the_log(agent, tmp_path):
    link = await agent.link()
    kernel = await start(link, cwd="/nowhere")

    async with client_of(agent.directory, kernel) as client:
        assert str(tmp_path / "home") == await execute(client, "import os; print(os.getcwd())")
    await link.signal("k", signal.SIGKILL)

    assert "/nowhere" in (await link.exited("k")).log
    await link.aclose()


async def test_modules_of_the_agent_hide_none_of_the_user(agent, library):
    (library / "kernel.py").write_text("NAME = 'mine'")
    link = await agent.link()
    kernel = await start(link)

    async with client_of(agent.directory, kernel) as client:
        assert "mine" == await execute(client, "import kernel; print(kernel.NAME)")
    await link.aclose()


async def test_two_kernels_draw_different_random_numbers(agent):
    link = await agent.link()
    drawn = set()
    for number in range(2):
        kernel = await start(link, f"k{number}")
        async with client_of(agent.directory, kernel) as client:
            drawn.add(await execute(client, "import random; print(random.random())"))

    assert 2 == len(drawn)
    await link.aclose()


async def test_an_interrupt_ends_a_sleep_and_reaches_children_of_the_cell(agent):
    link = await agent.link()
    kernel = await start(link)

    async with client_of(agent.directory, kernel) as client:
        code = "import subprocess; print('on'); subprocess.run(['sleep', '60'])"
        cell = asyncio.ensure_future(execute(client, code))
        await until(lambda: _children(kernel.pid))
        child = _children(kernel.pid)[0]
        delivered = await link.signal("k", signal.SIGINT)
        assert "KeyboardInterrupt" in await cell

    assert delivered
    await until(lambda: not is_alive(child))
    await link.aclose()


@pytest.mark.parametrize(
    ("code", "exit_code", "signum"),
    [
        ("import os; os._exit(7)", 7, 0),
        ("import os; os.kill(os.getpid(), 9)", -9, 9),
    ],
)
async def test_the_end_of_a_kernel_is_told_at_once_with_its_last_words(
    agent, code, exit_code, signum
):
    link = await agent.link()
    kernel = await start(link)

    async with client_of(agent.directory, kernel) as client:
        client.execute("import os; os.write(2, b'farewell')\n" + code)
        ended = await asyncio.wait_for(link.exited("k"), 5)

    assert (exit_code, signum) == (ended.exit_code, ended.signal)
    # ipykernel hands on what is written to the descriptor in a thread that may be too late.
    assert ended.log in ("", "farewell")
    assert [] == list(agent.directory.glob(f"{kernel.prefix}-*"))
    assert not (agent.directory / f"{kernel.prefix}.json").exists()
    assert exit_code == (await link.kernels())[0]["exit_code"]
    await link.aclose()


async def test_a_polite_shutdown_runs_what_the_user_has_registered(agent, tmp_path):
    link = await agent.link()
    kernel = await start(link)
    note = tmp_path / "note"

    async with client_of(agent.directory, kernel) as client:
        await execute(
            client, f"import atexit, pathlib; atexit.register(pathlib.Path('{note}').touch)"
        )
        client.shutdown()
        ended = await asyncio.wait_for(link.exited("k"), 10)

    assert (0, 0) == (ended.exit_code, ended.signal)
    assert note.exists()
    await link.aclose()


async def test_twenty_kernels_start_at_once(agent):
    link = await agent.link()

    kernels = await asyncio.gather(*(start(link, f"k{number}") for number in range(20)))

    assert 20 == len({kernel.pid for kernel in kernels})
    async with client_of(agent.directory, kernels[13]) as client:
        assert str(kernels[13].pid) == await execute(client, "import os; print(os.getpid())")
    await link.aclose()


async def test_a_kernel_that_follows_another_is_found_at_the_same_place(agent):
    link = await agent.link()
    first = await start(link)

    async with client_of(agent.directory, first) as client:
        await link.signal("k", signal.SIGKILL)
        await link.exited("k")
        second = await start(link, prefix=first.prefix)
        # What the new one prints is heard once its subscription has been renewed.
        await client.wait_for_ready(timeout=30)
        assert str(second.pid) == await execute(client, "import os; print(os.getpid())")

    assert first.prefix == second.prefix
    await link.aclose()


async def test_a_running_kernel_is_neither_started_again_nor_replaced(agent):
    link = await agent.link()
    kernel = await start(link)

    with pytest.raises(AgentError, match="runs already"):
        await start(link)
    with pytest.raises(AgentError, match="in use"):
        await start(link, "other", prefix=kernel.prefix)

    assert is_alive(kernel.pid)
    await link.aclose()


async def test_a_module_that_changed_is_new_in_the_next_kernel(agent, library):
    # jedi is among what the zygote has imported before.
    (library / "jedi.py").write_text("VERSION = 1")
    link = await agent.link()
    seen = []
    for version in (1, 2):
        # Python takes a file of the same size and second for the one that it has compiled.
        (library / "new").write_text(f"VERSION = {version}" + version * "\n")
        (library / "new").rename(library / "jedi.py")
        kernel = await start(link, f"k{version}")
        async with client_of(agent.directory, kernel) as client:
            seen.append(await execute(client, "import jedi; print(jedi.VERSION)"))

    assert ["1", "2"] == seen
    assert all(kernel["exit_code"] is None for kernel in await link.kernels())
    await link.aclose()


async def test_a_broken_ipykernel_is_reported_and_can_be_mended(agent, library):
    broken = library / "ipykernel"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('boom')")
    link = await agent.link()

    with pytest.raises(KernelStartError, match="ipykernel cannot be loaded") as caught:
        await start(link)
    broken.rename(library.parent / "away")
    mended = await start(link)

    assert "RuntimeError: boom" in caught.value.detail
    assert is_alive(mended.pid)
    await link.aclose()


async def test_a_kernel_that_dies_while_it_starts_is_reported_with_its_log(agent, library):
    link = await agent.link()
    await start(link, "warm")
    profile = agent.log.parent / ".ipython/profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("import os; os.write(2, b'cut'); os._exit(3)")

    with pytest.raises(KernelStartError, match="ended while it started") as caught:
        await start(link)

    assert "cut" in caught.value.detail
    assert ["warm"] == [kernel["kernel_id"] for kernel in await link.kernels()]
    await link.aclose()


async def test_a_start_that_is_given_up_leaves_no_kernel(cold_agent):
    agent = cold_agent
    link = await agent.link()
    await start(link, "warm")
    starting = asyncio.ensure_future(start(link, "unwanted"))
    await until(lambda: len(list(agent.directory.glob("k-*.json"))) == 2)

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    await until(lambda: len(list(agent.directory.glob("k-*"))) == 9)
    assert ["warm"] == [kernel["kernel_id"] for kernel in await link.kernels()]
    await link.aclose()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"no json\n", "not JSON"),
        (b"[1]\n", "not a JSON object"),
        (b'{"id": 1, "op": "launder"}\n', "no such operation"),
        (b'{"id": 1, "op": "signal", "kernel_id": "../x", "signum": 9}\n', "kernel_id"),
        (b'{"id": 1, "op": "signal", "kernel_id": "k", "signum": "9"}\n', "signum"),
        (b'{"id": 1, "op": "start_kernel", "kernel_id": "k", "env": {"A": 1}}\n', "env"),
        (b'{"id": 1, "op": "start_kernel", "kernel_id": "k", "prefix": "../x"}\n', "prefix"),
        pytest.param(b"x" * (1024 * 1024 + 1), "longer than 1 MiB", id="too long"),
    ],
)
async def test_a_bad_line_is_answered_and_the_agent_goes_on(agent, line, message):
    link = await agent.link()
    reader, writer = await asyncio.open_unix_connection(str(agent.directory / "agent.sock"))

    writer.write(line)
    answer = json.loads(await asyncio.wait_for(reader.readline(), 5))

    assert "bad-request" == answer["error"]["code"]
    assert message in answer["error"]["message"]
    assert [] == await link.kernels()
    writer.close()
    await link.aclose()


@pytest.mark.parametrize("by", ["SIGTERM", "request"])
async def test_the_end_of_the_agent_leaves_no_process_and_no_file(agent, by):
    link = await agent.link()
    kernel = await start(link)
    async with client_of(agent.directory, kernel) as client:
        detached = (
            "import subprocess; p = subprocess.Popen(['sleep', '60'], start_new_session=True)"
        )
        child = int(await execute(client, detached + "; print(p.pid)"))

    if by == "SIGTERM":
        agent.process.terminate()
    else:
        reader, writer = await asyncio.open_unix_connection(str(agent.directory / "agent.sock"))
        writer.write(b'{"id": 1, "op": "shutdown"}\n')
        await reader.readline()
        writer.close()

    assert 0 == await agent.ended()
    assert [False, False] == [is_alive(pid) for pid in (kernel.pid, child)]
    assert [] == list(agent.directory.iterdir())
    await link.aclose()


async def test_kernels_die_with_an_agent_that_was_killed_and_a_new_one_tidies_up(start_agent):
    with start_agent() as killed:
        link = await killed.link()
        kernel = await start(link)
        killed.process.kill()
        await killed.ended()
        await until(lambda: not is_alive(kernel.pid))
        await link.aclose()
    assert (killed.directory / "agent.sock").exists()

    with start_agent() as agent:
        await until(lambda: re.search("ready(.|\n)*ready", agent.log.read_text()))
        link = await agent.link()
        assert [] == await link.kernels()
        assert [] == list(agent.directory.glob("k-*"))
        await link.aclose()
        agent.process.terminate()
        await agent.ended()


async def test_a_client_that_comes_back_learns_what_has_ended(agent):
    link = await agent.link()
    await start(link)
    await link.aclose()

    again = await agent.link()
    await again.signal("k", signal.SIGKILL)
    await again.exited("k")

    assert ["k"] == [kernel["kernel_id"] for kernel in await again.kernels()]
    await again.forget("k")
    assert [] == await again.kernels()
    await again.aclose()


def _children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def profile(tmp_path):
    """Write what IPython reads when a kernel begins, before there is an agent."""
    directory = tmp_path / "home/.ipython/profile_default"
    (directory / "startup").mkdir(parents=True)
    (directory / "ipython_kernel_config.py").write_text("c.InteractiveShell.colors = 'NoColor'")
    (directory / "startup/00.py").write_text("import os; began = os.getcwd(), os.environ['COLOUR']")


async def warm_kernel(agent, *others):
    """Return the pid of the kernel that is ready for anybody."""

    def idle():
        children = set(_children(agent.process.pid)) - set(others)
        ready = len(list(agent.directory.glob("k-*-6"))) - len(others)
        # The zygote is a child, too, and older.
        return max(children) if ready == 1 else 0

    await until(idle)
    return idle()


async def test_a_warm_kernel_becomes_exactly_what_was_asked_for(profile, agent, tmp_path):
    link = await agent.link()
    pid = await warm_kernel(agent)
    env = {"COLOUR": "blue", "JPY_SESSION_NAME": "/a/n.ipynb", "TZ": "Asia/Tokyo"}
    kernel = await start(link, env=env, cwd=str(tmp_path))

    async with client_of(agent.directory, kernel) as client:
        seen = await execute(
            client,
            "import os, time, json, ipykernel; i = json.load(open(ipykernel.get_connection_file()))"
            "\nprint(os.getpid(), began, __session__, time.tzname[0], i['key'], i['ip'][-10:],"
            " get_ipython().config.InteractiveShell.colors, get_ipython().history_manager is None,"
            " 'DLENV_WARM_KERNELS' in os.environ)",
        )

    assert pid == kernel.pid
    began = (str(tmp_path), "blue")
    place = f"{KEY} {kernel.prefix}"
    assert f"{pid} {began} /a/n.ipynb JST {place} NoColor False False" == seen
    await link.aclose()


async def test_a_restart_takes_the_warm_kernel_to_where_the_old_one_was(agent):
    link = await agent.link()
    first = await start(link)
    async with client_of(agent.directory, first) as client:
        pid = await warm_kernel(agent, first.pid)
        await link.signal("k", signal.SIGKILL)
        await link.exited("k")
        second = await start(link, prefix=first.prefix)
        await client.wait_for_ready(timeout=30)
        seen = await execute(client, "import ipykernel; print(ipykernel.get_connection_file())")

    assert (pid, first.prefix) == (second.pid, second.prefix)
    assert str(agent.directory / f"{first.prefix}.json") == seen
    await link.aclose()


async def test_a_kernel_whose_variables_decide_how_python_begins_is_not_a_warm_one(agent):
    link = await agent.link()
    pid = await warm_kernel(agent)

    kernel = await start(link, env={"IPYTHONDIR": str(agent.log.parent / "other")})

    async with client_of(agent.directory, kernel) as client:
        seen = await execute(client, "print(get_ipython().ipython_dir)")
    assert str(agent.log.parent / "other") == seen
    assert kernel.pid != pid
    await link.aclose()


async def test_what_was_imported_ahead_is_there_and_what_cannot_be_is_told(start_agent, library):
    (library / "heavy.py").write_text("import os; PID = os.getpid()")
    (library / "broken.py").write_text("1 / 0")
    with start_agent(warm=1, DLENV_PRELOAD="heavy,broken") as agent:
        link = await agent.link()
        pid = await warm_kernel(agent)
        await until(lambda: "broken cannot be imported ahead" in agent.log.read_text())
        kernel = await start(link)
        async with client_of(agent.directory, kernel) as client:
            loaded = "import sys; print(sys.modules['heavy'].PID, 'broken' in sys.modules)"
            assert f"{pid} False" == await execute(client, loaded)
        await link.aclose()


async def test_what_draws_and_was_imported_ahead_draws_into_the_notebook(start_agent):
    with start_agent(warm=1, DLENV_PRELOAD="matplotlib.pyplot,broken") as agent:
        link = await agent.link()
        await until(lambda: "broken cannot be imported ahead" in agent.log.read_text())
        kernel = await start(link)
        async with client_of(agent.directory, kernel) as client:
            code = "import sys; m = sys.modules['matplotlib']; print(m.get_backend())"
            assert "inline" in await execute(client, code)
        await link.aclose()


async def test_a_kernel_is_held_by_one_connection_and_found_by_the_next(agent):
    first, second = await agent.link(), await agent.link()
    note = {"name": "mine"}
    started = await first.start_kernel("k", key=KEY, env={}, cwd="", note=note, outlives=True)

    with pytest.raises(AgentError, match="another server's"):
        await second.hold("k")
    await first.aclose()
    held = None
    while held is None:
        with contextlib.suppress(AgentError):
            held = await second.hold("k")

    assert (started.prefix, KEY, note) == (held.process.prefix, held.key, held.note)
    assert is_alive(started.pid)
    await second.aclose()


async def test_what_a_kernel_said_while_nobody_listened_is_kept(agent):
    link = await agent.link()
    kernel = await start(link)
    async with client_of(agent.directory, kernel) as client:
        client.execute("import time; time.sleep(0.5); print('un' + 'heard'); 1/0")

    kept = ""
    while "ZeroDivisionError" not in kept:
        messages = (await record.fetch(agent.directory / f"{kernel.prefix}-6")).messages
        kept = "".join(str(message.frames) for message in messages)
    assert 1 == kept.count("unheard")
    assert {"iopub", "shell"} <= {message.channel for message in messages}
    await link.aclose()
