"""Programs that know nothing of us run kernels in environments, through an installed kernelspec."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.session import Session
from rig import foreign
from rig.agents import execute, is_alive, until

from jupyter_dlenv.kernels import kernelspecs
from jupyter_dlenv.kernels.link import AgentLink
from jupyter_dlenv.models import Mount

pytestmark = pytest.mark.usefixtures("configured")

#: For what is no matter of the engine.
any_engine = pytest.mark.parametrize("engine_name", ["process"], indirect=True)
in_container = pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
LIMIT = 60


@pytest.fixture(scope="module")
def foreign_python(tmp_path_factory):
    return foreign.make(tmp_path_factory.mktemp("foreign"))


@pytest.fixture
def work(tmp_path):
    directory = tmp_path / "work"
    directory.mkdir()
    # A kernel's directory comes first on Python's path, also on that of what stands in for it.
    (directory / "queue.py").write_text("raise ImportError('of the notebook')")
    return directory


@pytest.fixture
def environment(environments, spec, work, jp_asyncio_loop):
    mount = Mount(source=str(work), target=str(work))
    spec = replace(spec, mounts=(mount,), workdir=str(work))
    return jp_asyncio_loop.run_until_complete(environments.launch(spec))


@pytest.fixture
def installed(environment, tmp_path):
    """Install the environment's kernelspec; return the directory of kernelspecs."""
    directory = tmp_path / "share/kernels"
    kernelspecs.install(directory, environment)
    return directory


@pytest.fixture
def manager(installed, environment, work, jp_asyncio_loop):
    specs = KernelSpecManager(kernel_dirs=[str(installed)])
    manager = AsyncKernelManager(kernel_name=environment.kernel_name, kernel_spec_manager=specs)
    yield manager
    if manager.has_kernel:
        jp_asyncio_loop.run_until_complete(manager.shutdown_kernel(now=True))
    # A socket that is left open would keep the tests' own process from ending.
    jp_asyncio_loop.run_until_complete(manager.cleanup_resources())


@asynccontextmanager
async def client_of(manager):
    # A session of its own, as that of another program: the manager hands out its own.
    client = manager.client(session=Session(key=manager.session.key))
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=LIMIT)
        yield client
    finally:
        client.stop_channels()


async def running_kernels(environment):
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)
    try:
        return [k["pid"] for k in await link.kernels() if k["exit_code"] is None]
    finally:
        await link.aclose()


async def no_kernel_is_left(environment):
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)
    try:
        for kernel in await link.kernels():
            if kernel["exit_code"] is None:
                await asyncio.wait_for(link.exited(kernel["kernel_id"]), 10)
    finally:
        await link.aclose()


@in_container
def test_jupyters_programs_run_in_a_container_without_our_provisioner(
    environment, installed, foreign_python, work
):
    def run(*words, stdin=""):
        done = subprocess.run(
            [foreign_python, "-I", *words],
            cwd=work,
            env={**os.environ, "JUPYTER_PATH": str(installed.parent), "NO_COLOR": "1"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.stdout + done.stderr

    kernel = environment.kernel_name
    find = "import importlib.util as u; print(u.find_spec('jupyter_dlenv'))"
    where = "import socket; print('in ' + socket.gethostname())"
    (work / "script.py").write_text(where)
    cell = nbformat.v4.new_code_cell("n = 1\n", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(
        cells=[cell, nbformat.v4.new_code_cell(where + "; print(n)")],
        metadata={"kernelspec": {"name": kernel, "language": "python", "display_name": "x"}},
    )
    nbformat.write(notebook, work / "a.ipynb")

    assert "None\n" == run("-c", find)
    assert "in a\n" in run("-m", "jupyter_client.runapp", "--kernel", kernel, "script.py")
    console = ("-m", "jupyter_console", "--simple-prompt", "--kernel", kernel)
    assert "in a\n" in run(*console, stdin=f"{where}\nexit\n")
    papermill = ("-m", "papermill", "a.ipynb", "b.ipynb", "-p", "n", "7", "--log-output")
    assert "in a\n7\n" in "".join(_texts(work / "b.ipynb", run(*papermill)))
    execute = (
        "import nbformat, nbclient; n = nbformat.read('a.ipynb', 4); nbclient.execute(n);"
        " print(n.cells[1].outputs[0].text)"
    )
    assert "in a\n1\n" in run("-c", execute)


def _texts(notebook, output):
    assert notebook.exists(), output
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(o.get("text", "")) for c in cells for o in c.get("outputs", [])]


async def test_a_kernel_is_interrupted_restarted_and_shut_down_as_any_other(
    manager, environment, work
):
    await manager.start_kernel(cwd=str(work))
    async with client_of(manager) as client:
        first = await execute(client, "import os; print(os.getpid(), os.getcwd())")
        code = "import time; open('begun', 'w').close(); time.sleep(60)"
        cell = asyncio.ensure_future(execute(client, code))
        await until((work / "begun").exists)
        await manager.interrupt_kernel()
        interrupted = await asyncio.wait_for(cell, 10)
    await manager.restart_kernel()
    async with client_of(manager) as client:
        second = await execute(client, "import os; print(os.getpid(), os.getcwd())")
    # A kernel that is asked to end takes seconds for it where the disk is busy.  One that was not
    # asked is sent a signal after half of this.
    manager.shutdown_wait_time = 2 * LIMIT
    process = manager.provisioner.process
    started = asyncio.get_running_loop().time()
    await manager.shutdown_kernel()

    assert "KeyboardInterrupt" in interrupted
    assert first.endswith(f" {work}")
    assert second.endswith(f" {work}")
    assert first != second
    assert asyncio.get_running_loop().time() - started < manager.shutdown_wait_time / 2
    # It has ended by itself, and no signal has ended it.
    assert 0 == process.returncode
    assert [] == await running_kernels(environment)


@any_engine
async def test_a_client_that_asks_before_it_listens_misses_nothing(manager, work):
    await manager.start_kernel(cwd=str(work))
    # A channel connects when it is first used.
    client = manager.client(session=Session(key=manager.session.key))
    try:
        request = client.execute("print(6 * 7)")
        client.control_channel.send(client.session.msg("kernel_info_request"))
        await client.get_control_msg(timeout=LIMIT)

        said = ""
        while "42" not in said:
            message = await client.get_iopub_msg(timeout=LIMIT)
            if message["parent_header"].get("msg_id") == request:
                said += message["content"].get("text", "")
    finally:
        client.stop_channels()

    assert "42\n" == said


@any_engine
async def test_input_is_asked_for_where_the_question_came_from(manager, work):
    await manager.start_kernel(cwd=str(work))
    async with client_of(manager) as one, client_of(manager) as two:
        message = one.execute("print(input('name? '))", allow_stdin=True)
        asked = await one.get_stdin_msg(timeout=LIMIT)
        one.input("Ada")
        reply = await one._async_recv_reply(message, timeout=LIMIT)

        assert "name? " == asked["content"]["prompt"]
        assert "ok" == reply["content"]["status"]
        assert not await two.stdin_channel.msg_ready()


@any_engine
async def test_every_client_hears_all_of_a_flood_of_large_outputs(manager, work):
    await manager.start_kernel(cwd=str(work))
    heard = []

    def hear(message):
        heard.append(len(message["content"].get("text") or ""))

    async with client_of(manager) as one, client_of(manager) as two:
        code = "import sys\nfor _ in range(3000): print('x' * 4000, flush=True)"
        await one.execute_interactive(code, timeout=LIMIT, output_hook=hear)
        count = sum(heard)
        heard.clear()
        while (await two.get_iopub_msg(timeout=LIMIT))["content"].get("execution_state") != "idle":
            pass

        assert 3000 * 4001 == count


@any_engine
async def test_the_exit_code_is_the_kernels_own(manager, work):
    await manager.start_kernel(cwd=str(work))
    async with client_of(manager) as client:
        client.execute("import os; os._exit(7)")

        assert 7 == await asyncio.wait_for(manager.provisioner.wait(), 10)


@any_engine
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
async def test_no_kernel_is_left_behind_when_its_stand_in_is_killed(
    manager, environment, work, signum
):
    await manager.start_kernel(cwd=str(work))
    async with client_of(manager) as client:
        await execute(client, "1")

    await manager.signal_kernel(signum)

    await no_kernel_is_left(environment)
    assert await asyncio.wait_for(manager.provisioner.wait(), 10) == -signum


@any_engine
async def test_no_kernel_is_left_behind_when_the_client_is_killed(
    environment, installed, foreign_python, work
):
    code = (
        "import os, signal, jupyter_client as j\n"
        f"m, c = j.manager.start_new_kernel(kernel_name='{environment.kernel_name}')\n"
        "print(m.provisioner.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    client = await asyncio.create_subprocess_exec(
        foreign_python,
        *("-I", "-c", code),
        cwd=work,
        # Killed, it leaves its connection file in the directory for temporary ones.
        env={**os.environ, "JUPYTER_PATH": str(installed.parent), "TMPDIR": str(work)},
        stdout=asyncio.subprocess.PIPE,
    )
    stand_in = int(await asyncio.wait_for(client.stdout.readline(), LIMIT))
    await client.wait()

    await no_kernel_is_left(environment)
    await until(lambda: not is_alive(stand_in))


async def test_a_stopped_environment_is_started_and_one_that_stops_takes_the_kernel_along(
    manager, environments, work
):
    await environments.stop("a")

    await manager.start_kernel(cwd=str(work))
    async with client_of(manager) as client:
        answer = await execute(client, "print(6 * 7)")
    await environments.stop("a")

    assert "42" == answer
    await asyncio.wait_for(manager.provisioner.wait(), 10)


@any_engine
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ip": "0.0.0.0"}, "loopback"),
        ({"signature_scheme": "hmac-md5"}, "hmac-sha256"),
        ({"shell_port": 0}, "port is missing"),
        ({}, "no environment 'b'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(environment, tmp_path, changes, words):
    ports = {f"{c}_port": 50000 + n for n, c in enumerate(("shell", "iopub", "stdin", "control"))}
    info = {"ip": "127.0.0.1", "transport": "tcp", "key": "k", "hb_port": 50009, **ports}
    file = tmp_path / "connection.json"
    file.write_text(json.dumps({**info, **changes}))
    bridge = ("-m", "jupyter_dlenv.kernels.bridge", "--engine", "process", "b", "-f", str(file))

    done = subprocess.run(
        [sys.executable, *bridge], capture_output=True, text=True, timeout=LIMIT, check=False
    )

    assert 1 == done.returncode
    assert words in done.stderr
    assert "Traceback" not in done.stderr
