"""The server is killed, and then the kernel: a page that stays open shows all of it."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, expect
from rig.server import TOKEN, Server

from .lab import screenshot

COUNT = """\
import os, time
x, number = 41, 0
while not os.path.exists("{go}"):
    print(number)
    number += 1
    time.sleep(0.2)
x += 1
print("the end")
"""


@pytest.fixture
def wait() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Return a function that waits for a coroutine; Playwright has the loop of this thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(120)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def server(tmp_path: Path, jp_config_dir: Path, run_id: str, wait: Any) -> Iterator[Server]:
    """Run JupyterLab with an environment ``first``, which is removed in the end."""
    values = {
        "engine": "process",
        "owner": f"{run_id}-{uuid.uuid4().hex[:6]}",
        "data_dir": str(tmp_path / "d"),
        "runtime_dir": str(tmp_path / "r"),
    }
    configuration = {"Configuration": values}
    (jp_config_dir / "jupyter_dlenv_config.json").write_text(json.dumps(configuration))
    page_config = jp_config_dir / "labconfig/page_config.json"
    page_config.parent.mkdir(exist_ok=True)
    news = {"@jupyterlab/apputils-extension:announcements": True}
    page_config.write_text(json.dumps({"disabledExtensions": news}))
    root = tmp_path / "root"
    root.mkdir()
    server = Server(root, tmp_path / "server.log")
    server.extensions["jupyterlab"] = True
    wait(server.start())
    wait(launch(server))
    yield server
    if server.process is not None and server.process.poll() is not None:
        wait(server.start())
    wait(server.ask("DELETE", "/dlenv/api/environments/first"))
    wait(server.end(signal.SIGTERM))


async def launch(server: Server) -> None:
    job = await server.ask("POST", "/dlenv/api/environments", {"name": "first", "image": "python"})
    while not job["ended"]:
        await asyncio.sleep(0.05)
        job = await server.get(f"/dlenv/api/jobs/{job['id']}")
    assert job["phase"] == "ready", job


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_page_finds_back_to_its_kernel_after_the_server_was_killed_and_is_told_of_its_end(
    server: Server, page: Page, tmp_path: Path, wait: Any
) -> None:
    """Earns its time: nothing else shows that JupyterLab itself finds its way back."""
    go = tmp_path / "go"
    sources = (COUNT.format(go=go), "x", "import os; os.kill(os.getpid(), 9)")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernelspec = {"name": "dlenv-first", "display_name": "first"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, tmp_path / "root/n.ipynb")
    # JupyterLab says so itself, if the server is away for long.
    away = page.locator(".jp-Dialog", has_text="Server Connection Error")
    page.add_locator_handler(away, lambda: away.locator(".jp-mod-accept").click())
    page.goto(f"http://127.0.0.1:{server.port}/lab/tree/n.ipynb?reset&token={TOKEN}")
    panel = page.locator(".jp-NotebookPanel:visible")
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=60_000)
    panel.locator(".cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    output = panel.locator(".jp-OutputArea-output").first
    expect(output).to_contain_text("\n3", timeout=30_000)

    wait(server.end(signal.SIGKILL))
    shown = len(output.inner_text().split())
    wait(server.start())
    go.touch()

    expect(output).to_contain_text("the end", timeout=60_000)
    *numbers, _, _ = output.inner_text().split()
    assert [str(number) for number in range(len(numbers))] == numbers
    assert shown < len(numbers)
    panel.locator(".cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    expect(panel.locator(".jp-OutputArea-output").nth(1)).to_contain_text("42", timeout=30_000)
    screenshot(page, "survival")

    panel.locator(".cm-content").nth(2).click()
    page.keyboard.press("Shift+Enter")
    why = page.get_by_text("The kernel was ended by SIGKILL.")
    expect(why.first).to_be_visible(timeout=10_000)
