"""The main job: a notebook runs inside a container, whatever the image brings."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from rig.shell import until

from jupyter_dlenv.models import EnvironmentSpec, Mount
from jupyter_dlenv.plan import Caller

pytestmark = [pytest.mark.usefixtures("configured"), pytest.mark.shares_engine]

#: The smallest PNG: 1 x 1 pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
CELLS = {
    "where": "import os, socket; print(socket.gethostname(), os.environ['DLENV_IMAGE'])",
    "text": "6 * 7",
    "picture": f"""
import base64
import json
import os
import sys
from IPython.display import Image, display
display(Image(base64.b64decode('{PNG}')))
""",
    "error": "1 / 0",
    "stdin": "input('name? ')",
    "stream": "import sys; [sys.stdout.write('x' * 1_048_575 + '\\n') for _ in range(50)]; None",
    "file": "open('written-by-the-notebook', 'w').write('x'); os.getuid()",
}


#: Prints the outputs of a notebook's cells, long texts as their length: 50 MB of JSON would
#: hold the event loop of the test itself.
SUMMARY = """
import json, sys
cells = json.load(open(sys.argv[1]))["cells"]
for output in (output for cell in cells for output in cell["outputs"]):
    text = "".join(output.get("text", ""))
    output["text"] = text if len(text) < 1000 else len(text)
print(json.dumps([cell["outputs"] for cell in cells]))
"""


async def run_cells(environment, directory, data_dir, cells=CELLS):
    """Execute cells with ``jupyter nbconvert``; return the outputs of each."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells.values()]
    )
    path = directory / "run.ipynb"
    nbformat.write(notebook, path)
    await run(
        *("-m", "nbconvert", "--to", "notebook", "--inplace", "--execute", "--allow-errors"),
        *(f"--ExecutePreprocessor.kernel_name={environment.kernel_name}", str(path)),
        env={**os.environ, "JUPYTER_PATH": str(data_dir)},
    )
    outputs = json.loads(await run("-c", SUMMARY, str(path)))
    return dict(zip(cells, outputs, strict=True))


async def run(*arguments, env=None):
    return await start([sys.executable, *arguments], env=env)


async def start(command, *, env=None, cwd=None):
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), 150)
    if process.returncode:
        raise RuntimeError(stderr.decode())
    return stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
# "bare" is in the test below: to prepare it takes the longest.
@pytest.mark.parametrize("image", ["kernel", "python", "ngc", "user"])
async def test_a_notebook_runs_in_any_image(environments, images, image, tmp_path):
    """Worth its time: this is what the whole project is for."""
    work = tmp_path / "work"
    work.mkdir()
    spec = EnvironmentSpec(
        name="nb",
        image=images.ensure(image),
        mounts=(Mount(source=str(work), target=str(work)),),
        workdir=str(work),
    )

    environment = await environments.launch(spec)
    outputs = await run_cells(environment, work, tmp_path / "data")

    assert f"nb {spec.image}\n" == outputs["where"][0]["text"]
    assert "42" == outputs["text"][0]["data"]["text/plain"][0]
    picture = outputs["picture"][0]["data"]["image/png"]
    assert base64.b64decode(PNG) == base64.b64decode(picture)
    assert "ZeroDivisionError" == outputs["error"][0]["ename"]
    assert "StdinNotImplementedError" == outputs["stdin"][0]["ename"]
    assert 50 * 1024**2 == sum(output["text"] for output in outputs["stream"])
    assert "x" == (work / "written-by-the-notebook").read_text()


#: Executes a notebook with nbclient, whose kernel is started and reached through a server alone.
OVER_REST = """
import asyncio, functools, json, sys, nbformat, websocket
from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import ChannelQueue
from nbclient import NotebookClient
url, kernel_name, path = sys.argv[1:]
# It asks for news without a pause, and so keeps the thread from running that reads them; which
# looks at each byte of a text with Python, besides. Together that is 20 s for the 50 MB.
ChannelQueue._async_get = lambda self, timeout=None: asyncio.to_thread(self.get, True, timeout)
websocket.create_connection = functools.partial(
    websocket.create_connection, skip_utf8_validation=True
)
GatewayClient.instance().url = url
notebook = nbformat.read(path, as_version=4)
NotebookClient(
    notebook, allow_errors=True, timeout=100, iopub_timeout=60,
    kernel_manager_class="jupyter_server.gateway.managers.GatewayKernelManager",
).execute(kernel_name=kernel_name)
nbformat.write(notebook, path)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
@pytest.mark.parametrize("image", ["python", "bare"])
async def test_a_notebook_runs_over_the_rest_api_of_a_server(
    docker_environments, images, image, server_url, tmp_path
):
    """Worth its time: a server is how people use kernels, and 50 MB pass its websocket."""
    docker_environments()
    command = [Path(sys.executable).with_name("jupyter-dlenv"), "launch", images.ensure(image)]
    launched = await start([*command, "--name", "a", "--json"], cwd=tmp_path)
    environment = json.loads(launched)["environment"]
    path = tmp_path / "run.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)

    await run("-c", OVER_REST, server_url, environment["kernel_name"], str(path))
    outputs = dict(zip(CELLS, json.loads(await run("-c", SUMMARY, str(path))), strict=True))

    assert "running" == environment["status"]
    assert f"a {environment['image']}\n" == outputs["where"][0]["text"]
    picture = outputs["picture"][0]["data"]["image/png"]
    assert base64.b64decode(PNG) == base64.b64decode(picture)
    assert "ZeroDivisionError" == outputs["error"][0]["ename"]
    assert "StdinNotImplementedError" == outputs["stdin"][0]["ename"]
    assert 50 * 1024**2 == sum(output["text"] for output in outputs["stream"])
    assert "x" == (tmp_path / "written-by-the-notebook").read_text()


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_file_of_the_notebook_belongs_to_the_caller(
    docker_environments, spec, tmp_path, monkeypatch
):
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(0o777)
    environments = docker_environments(caller=Caller(uid=1234, gid=1234, name="alice"))
    mount = Mount(source=str(work), target=str(work))
    environment = await environments.launch(replace(spec, mounts=(mount,), workdir=str(work)))

    outputs = await run_cells(
        environment, work, tmp_path / "data", {"file": "import os\n" + CELLS["file"]}
    )

    assert "1234" == outputs["file"][0]["data"]["text/plain"][0]
    assert 1234 == (work / "written-by-the-notebook").stat().st_uid


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_what_was_pip_installed_survives_kernels_and_a_stop(
    environments, images, wheel, tmp_path, monkeypatch
):
    """Worth its time: with every peer, what was installed is lost with the kernel."""
    work = tmp_path / "work"
    work.mkdir()
    mount = Mount(source=str(wheel.parent), target="/wheels", read_only=True)
    environment = await environments.launch(
        EnvironmentSpec(name="pip", image=images.ensure("python"), mounts=(mount,))
    )
    install = {"pip": "%pip install --no-index --quiet /wheels/" + wheel.name}
    use = {"use": "import dlenv_probe; dlenv_probe.ANSWER"}

    await run_cells(environment, work, tmp_path / "data", install)
    in_next_kernel = await run_cells(environment, work, tmp_path / "data", use)
    await environments.restart("pip")
    after_restart = await run_cells(environment, work, tmp_path / "data", use)

    assert "42" == in_next_kernel["use"][0]["data"]["text/plain"][0]
    assert "42" == after_restart["use"][0]["data"]["text/plain"][0]


@pytest.mark.parametrize("engine_name", ["docker"], indirect=True)
async def test_a_kernel_starts_a_stopped_environment(environments, spec, tmp_path):
    environment = await environments.launch(spec)
    await environments.stop(spec.name)

    outputs = await run_cells(environment, tmp_path, tmp_path / "data", {"text": "6 * 7"})

    assert "42" == outputs["text"][0]["data"]["text/plain"][0]


async def test_a_kernel_of_a_removed_environment_fails_with_a_sentence(
    environments, spec, tmp_path, monkeypatch
):
    environment = await environments.launch(spec)
    kept = environments.kernelspecs.directory / environment.kernel_name
    files = {f.name: f.read_bytes() for f in kept.iterdir()}
    await environments.remove(spec.name)
    # As in a notebook whose page was open while somebody else removed the environment.
    kept.mkdir(parents=True)
    for name, content in files.items():
        (kept / name).write_bytes(content)

    with pytest.raises(Exception, match="no environment 'a'"):
        await run_cells(environment, tmp_path, tmp_path / "data", {"text": "1"})


@pytest.fixture
def server_url(tmp_path):
    """Run a Jupyter server as users do, in a process of its own, for anybody on loopback."""
    root = tmp_path / "root"
    root.mkdir()
    settings = {
        "ip": "127.0.0.1",
        "port": 0,
        "root_dir": str(root),
        "allow_root": True,
        # The client of jupyter_server itself sends neither a token nor an XSRF cookie.
        "disable_check_xsrf": True,
        # By default a server cuts off streams of more than 1 MB/s.
        "iopub_data_rate_limit": 1e9,
    }
    options = [f"--ServerApp.{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "jupyter_server", *options, "--IdentityProvider.token="]
    with (tmp_path / "server.log").open("w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield _announced_url(process, tmp_path / "server.log")
        finally:
            process.terminate()
            process.wait(30)


def _announced_url(process, log):
    for _ in until(60, "the server to say where it listens"):
        assert process.poll() is None, log.read_text()
        if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()):
            return found[0]
    raise AssertionError(log.read_text())


@pytest.fixture
def wheel(tmp_path):
    """Write a wheel by hand: a zip with a module and three lines of metadata."""
    import zipfile

    directory = tmp_path / "wheels"
    directory.mkdir()
    path = directory / "dlenv_probe-1-py3-none-any.whl"
    info = "dlenv_probe-1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dlenv_probe.py", "ANSWER = 42\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: dlenv_probe\nVersion: 1\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path
