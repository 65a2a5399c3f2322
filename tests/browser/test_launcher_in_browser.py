"""From a launched environment to a notebook that runs in it, as a user of JupyterLab sees it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .lab import Lab, screenshot

#: Milliseconds; left alone, JupyterLab looks for kernels once a minute.
AT_ONCE = 10_000
CODE = """\
import os, socket
print(os.environ["DLENV_ENVIRONMENT"], "runs", os.environ["DLENV_IMAGE"])
print("host name:", socket.gethostname())
"""


def open_lab(page: Page, lab: Lab) -> None:
    page.goto(lab.page_url())
    expect(tiles(page).first).to_be_visible(timeout=60_000)


def tiles(page: Page, text: str = ""):
    return page.locator('.jp-LauncherCard[data-category="Notebook"]', has_text=text)


def run_in_new_notebook(page: Page, tile: str, code: str) -> str:
    """Click a tile of the launcher, run code in the notebook that opens, return its output."""
    tiles(page, tile).click()
    notebook = page.locator(".jp-NotebookPanel:visible")
    expect(notebook.locator(".jp-Toolbar-kernelName")).to_contain_text(tile)
    # JupyterLab forgets what is run before the kernel is there.
    expect(page.get_by_text(re.compile(rf"{tile}.*\| Idle"))).to_be_visible(timeout=60_000)
    notebook.locator(".cm-content").first.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    output = notebook.locator(".jp-OutputArea-output").first
    expect(output).to_be_visible(timeout=60_000)
    return output.inner_text()


@pytest.mark.browser
def test_an_environment_is_in_the_launcher_at_once_and_its_notebook_runs_inside(
    lab: Lab, page: Page
) -> None:
    """Earns its time: the only test of the whole way from our front end to a cell's output."""
    open_lab(page, lab)
    expect(tiles(page)).to_have_count(1)

    lab.launch(name="first", image="python")

    expect(tiles(page, "first")).to_be_visible(timeout=AT_ONCE)
    screenshot(page, "launcher")
    assert "first runs python" in run_in_new_notebook(page, "first", CODE)


@pytest.mark.browser
def test_a_removed_environment_leaves_the_launcher_at_once(lab: Lab, page: Page) -> None:
    lab.launch(name="first", image="python")
    open_lab(page, lab)
    expect(tiles(page, "first")).to_be_visible()

    lab.request("DELETE", "environments/first")

    expect(tiles(page, "first")).to_have_count(0, timeout=AT_ONCE)


@pytest.mark.browser
def test_the_palette_refreshes_the_environments(lab: Lab, page: Page) -> None:
    open_lab(page, lab)

    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("Refresh DL environments")
    with page.expect_response("**/dlenv/api/environments*") as answer:
        page.keyboard.press("Enter")

    assert answer.value.ok


@pytest.mark.browser
@pytest.mark.docker
def test_a_notebook_runs_in_a_container(docker_lab: Lab, page: Page, images) -> None:
    open_lab(page, docker_lab)

    environment = docker_lab.launch(name="inside", image=images.ensure("kernel"))

    expect(tiles(page, "inside")).to_be_visible(timeout=AT_ONCE)
    output = run_in_new_notebook(page, "inside", CODE)
    assert f"inside runs {environment['image']}" in output
    assert "host name: inside" in output
