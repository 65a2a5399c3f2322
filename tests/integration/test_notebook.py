"""The main job: a notebook runs inside a container, whatever the image brings."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from dataclasses import replace

import nbformat
import pytest

from jupyter_dlenv.models import EnvironmentSpec, Mount
from jupyter_dlenv.plan import Caller

pytestmark = pytest.mark.usefixtures("configured")

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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=env,
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
@pytest.mark.parametrize("image", ["kernel", "python", "bare", "ngc", "user"])
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
