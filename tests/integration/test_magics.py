"""``%dlenv`` and ``%%dlenv`` in a real kernel of a notebook."""

from __future__ import annotations

import asyncio
import base64
import os
import sys

import pytest
from jupyter_client.manager import AsyncKernelManager
from rig.agents import until
from test_notebook import PNG

from jupyter_dlenv.errors import EnvironmentNotFoundError
from jupyter_dlenv.magics.complete import completions
from jupyter_dlenv.models import Status

pytestmark = pytest.mark.usefixtures("configured")
any_engine = pytest.mark.parametrize("engine_name", ["process"], indirect=True)
LIMIT = 60


class Notebook:
    """A kernel of this machine's own Python, and the outputs of its cells."""

    def __init__(self, manager, client):
        self.manager = manager
        self.client = client

    async def run(self, code, *, answers=(), allow_stdin=True, into=None):
        """Run a cell; return its outputs, each with what it shows as text.

        They appear in the list ``into`` as they are heard.
        """
        answers = list(answers)
        outputs = [] if into is None else into

        def hear(message):
            content = message["content"]
            if message["msg_type"] in ("status", "execute_input"):
                return
            content["type"] = message["msg_type"]
            data = content.get("data", {})
            text = data.get("text/plain") or "\n".join(content.get("traceback", ()))
            content["shown"] = content.get("text") or text
            outputs.append(content)

        def answer(_):
            self.client.input(answers.pop(0))

        await self.client.execute_interactive(
            code,
            timeout=LIMIT,
            output_hook=hear,
            stdin_hook=answer,
            allow_stdin=allow_stdin,
            # The next cell may come so soon that a kernel takes it for one that was sent ahead.
            stop_on_error=False,
        )
        return outputs

    async def text(self, code, **given):
        return "".join(output["shown"] for output in await self.run(code, **given))


@pytest.fixture
def work(tmp_path, monkeypatch, engine_name):
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("DLENV_ENGINE", engine_name)
    return directory


@pytest.fixture
def notebook(work, environments, jp_asyncio_loop):
    manager = AsyncKernelManager(kernel_name="python3")
    # That of this checkout, whatever kernelspecs the machine has.
    manager.kernel_spec.argv[0] = sys.executable

    async def start():
        await manager.start_kernel(cwd=str(work), env=dict(os.environ))
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=LIMIT)
        notebook = Notebook(manager, client)
        # An installation loads it by itself.
        said = await notebook.text("%load_ext jupyter_dlenv")
        assert not said or "already loaded" in said
        return notebook

    async def stop():
        notebook.client.stop_channels()
        await manager.shutdown_kernel(now=True)

    notebook = jp_asyncio_loop.run_until_complete(start())
    yield notebook
    jp_asyncio_loop.run_until_complete(stop())


@pytest.fixture
def launched(environments, spec, jp_asyncio_loop):
    return jp_asyncio_loop.run_until_complete(environments.launch(spec))


@pytest.fixture
def image(spec):
    return spec.image


async def test_a_cell_runs_elsewhere_as_it_would_here(notebook, launched, work, engine_name):
    cell = "%%dlenv a\n"

    where = await notebook.text(cell + "import os, sys; n = 1; print(os.environ['DLENV_IMAGE'])")
    both = await notebook.run(cell + "n += 1; print('e', file=sys.stderr); n")
    picture = await notebook.run(
        f"{cell}import base64\nfrom IPython.display import Image, display\n"
        f"h = display(Image(base64.b64decode('{PNG}')), display_id=True)\nh.update(1)"
    )
    error = await notebook.run(cell + "def f():\n    1 / 0\nf()")
    typed = await notebook.text(cell + "print('I am ' + input('name? '))", answers=["Ada"])
    missing = await notebook.text("%%dlenv b\n1")

    assert launched.spec.image in where
    assert ["e\n", "2"] == [output["shown"] for output in both]
    assert ["display_data", "update_display_data"] == [output["type"] for output in picture]
    assert base64.b64decode(PNG) == base64.b64decode(picture[0]["data"]["image/png"])
    assert picture[0]["transient"] == picture[1]["transient"]
    assert ("error", "ZeroDivisionError") == (error[-1]["type"], error[-1]["ename"])
    assert "line 2" in error[-1]["shown"].replace("\x1b[32m", "").replace("\x1b[39m", "")
    assert "magics" not in error[-1]["shown"]
    assert "I am Ada\n" == typed
    assert missing.startswith("There is no environment 'b'.")


@any_engine
async def test_a_cell_is_interrupted_and_the_kernel_keeps_its_variables(notebook, launched, work):
    code = f"import time; n = 7; open('{work}/begun', 'w').close(); time.sleep(60)"
    cell = asyncio.ensure_future(notebook.run("%%dlenv a\n" + code))
    await until((work / "begun").exists)

    await notebook.manager.interrupt_kernel()

    outputs = await asyncio.wait_for(cell, 10)
    assert "KeyboardInterrupt" == outputs[-1]["ename"]
    assert "sleep" in outputs[-1]["shown"]
    assert "7" == await notebook.text("%%dlenv a\nn")


@any_engine
async def test_where_nobody_can_be_asked_a_cell_that_asks_ends(notebook, launched):
    asked = await notebook.run("%%dlenv a\ninput('name? ')", allow_stdin=False)

    assert "StdinNotImplementedError" == asked[-1]["ename"]
    assert "3" == await notebook.text("%%dlenv a\n1 + 2")


@any_engine
async def test_a_large_array_goes_in_and_comes_out(notebook, launched):
    await notebook.run("import numpy; a = numpy.arange(12_500_000, dtype='f8')")

    await notebook.run("%%dlenv a --in a --out b,total\nb = a[::-1] + 1; total = float(b.sum())")
    seen = await notebook.text(
        "print(a.nbytes, b.nbytes, bool((b == a[::-1] + 1).all()), total == b.sum())"
    )
    refused = await notebook.text("%%dlenv a --out f\nf = lambda: 0")
    unknown = await notebook.text("%%dlenv a --in nothing\n1")

    assert "100000000 100000000 True True\n" == seen
    assert "f" in refused
    assert "--pickle" in refused
    assert "no variable 'nothing'" in unknown


async def test_lines_do_what_the_command_line_does(notebook, environments, image, work):
    launch = await notebook.run(f"%dlenv launch {image} --name mnist")
    listed = await notebook.run("%dlenv list")
    shown = await notebook.text("%dlenv show mnist")
    logs = await notebook.text("%dlenv logs mnist")
    wrong = await notebook.text("%dlenv show mnst")
    usage = await notebook.text("%dlenv launch --colour blue x")
    await notebook.run("%dlenv stop mnist")
    stopped = (await environments.get("mnist")).status
    unsure = await notebook.text("%dlenv remove mnist")
    await notebook.run("%dlenv remove mnist --yes")

    updates = [o for o in launch if o["type"] in ("display_data", "update_display_data")]
    assert 1 == len({o["transient"]["display_id"] for o in updates})
    assert "✓ Starting the environment" in updates[-1]["shown"]
    assert "'mnist' is ready" in launch[-1]["shown"]
    assert "<td>mnist</td>" in listed[0]["data"]["text/html"]
    assert listed[0]["data"]["text/plain"].splitlines()[1].startswith("mnist ")
    assert image in shown
    assert "ready in" in logs
    assert wrong.startswith("There is no environment 'mnst'.\nDid you mean 'mnist'?")
    assert "No such option" in usage
    assert "Traceback" not in wrong + usage
    assert Status.STOPPED is stopped
    assert "--yes" in unsure
    with pytest.raises(EnvironmentNotFoundError):
        await environments.get("mnist")


@any_engine
async def test_a_launch_of_nothing_takes_the_project_of_the_notebook(
    notebook, environments, image, work
):
    (work / "dlenv.toml").write_text(f'name = "digits"\nimage = "{image}"\n[env]\nA = "b"\n')
    (work / "notebooks").mkdir()

    said = await notebook.text("import os\nos.chdir('notebooks')\n%dlenv launch")
    inside = await notebook.text("%%dlenv digits\nimport os; print(os.environ['A'], os.getcwd())")

    assert f"Using {work}/dlenv.toml" in said
    assert "'digits' is ready" in said
    # Where the notebook is, which the project mounts.
    assert f"b {work}/notebooks\n" == inside


@any_engine
async def test_an_interrupted_line_undoes_what_it_has_begun(notebook, launched):
    outputs = []
    following = asyncio.ensure_future(notebook.run("%dlenv logs a --follow", into=outputs))
    await until(lambda: any("ready in" in output["shown"] for output in outputs))

    await notebook.manager.interrupt_kernel()

    await asyncio.wait_for(following, 10)
    assert "3" == await notebook.text("1 + 2")


@any_engine
async def test_tab_completes_commands_options_and_names(launched, work, notebook):
    assert {"launch", "list", "logs"} <= set(await asyncio.to_thread(completions, "%dlenv l"))
    assert ["use"] == await asyncio.to_thread(completions, "%dlenv us")
    assert ["a"] == await asyncio.to_thread(completions, "%dlenv show ")
    assert "--gpus" in await asyncio.to_thread(completions, "%dlenv launch --g")
    assert "--out" in await asyncio.to_thread(completions, "%%dlenv a --o")
    reply = await notebook.client.complete("%dlenv lau", 10, reply=True, timeout=LIMIT)
    assert "launch" in [m.rpartition(" ")[2] for m in reply["content"]["matches"]]
