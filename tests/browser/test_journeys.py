"""What a data scientist does with the front end, on a real engine, from the launcher on."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect
from rig.gpu_host import let_the_engine_have_gpus
from rig.nvml import gpu_uuid

from .lab import Lab, screenshot
from .views import (
    choose_image,
    form,
    open_lab,
    open_sidebar,
    panel,
    row,
    run_cell,
    run_command,
    sidebar,
)

pytestmark = [pytest.mark.browser, pytest.mark.docker]

#: Where a cell runs, and which GPUs it sees there.
WHERE = """\
import socket, subprocess
print(socket.gethostname())
print(subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout)
"""
#: Milliseconds for what only needs an event to travel.
AT_ONCE = 10_000
#: A container starts, and its agent answers.
LAUNCH = 90_000


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """Name an image at a registry that greets, and then says nothing of the image."""
    end = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/v2/":
                end.wait()
            self.send_response(200)
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 what http.server looks for

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"localhost:{server.server_port}/team/large:1"
        end.set()
        server.shutdown()
        thread.join()


def is_layout_saved(response: Response) -> bool:
    """Tell whether JupyterLab has kept which tabs are open, which it does after a while."""
    request = response.request
    body = request.post_data or ""
    return "/api/workspaces" in request.url and "jupyter-dlenv-launch" in body


@pytest.fixture
def engine_has_gpus(docker_engine_url: str) -> None:
    let_the_engine_have_gpus(docker_engine_url)


def test_first_launch_from_the_tile_to_a_cell_that_ran_inside(
    docker_lab: Lab, page: Page, images, engine_has_gpus: None
) -> None:
    """Earns its time: the whole of the main journey, which nothing else covers."""
    image = images.ensure("kernel")
    open_lab(page, docker_lab)

    page.locator(".jp-LauncherCard", has_text="DL environment").click()
    # And one is in parts.
    expect(form(page).get_by_role("checkbox", name="GPU")).to_have_count(7, timeout=30_000)
    choose_image(page, image)
    form(page).get_by_label("Name", exact=True).fill("first")
    for count in (1, 2):
        form(page).get_by_role("button", name="More GPUs").click()
        taken = form(page).get_by_role("checkbox", checked=True)
        expect(taken).to_have_count(count)
    lit = [int(tile.inner_text().split()[1]) for tile in taken.all()]
    screenshot(page, "journey-form")
    form(page).get_by_role("button", name="Launch").click()
    expect(panel(page).get_by_role("heading", name="first")).to_be_visible()

    notebook = page.locator(".jp-NotebookPanel:visible")
    expect(notebook.locator(".jp-Toolbar-kernelName")).to_contain_text("2 GPUs", timeout=LAUNCH)
    printed = run_cell(page, WHERE)
    assert printed.split()[0] == "first"
    assert [gpu_uuid(index) for index in lit] == re.findall(r"GPU-[0-9a-f-]+", printed)
    expect(page.locator(".jp-DLEnv-statusitem")).to_contain_text("first")
    expect(page.get_by_text("first is ready")).to_be_visible()
    open_sidebar(page)
    expect(row(page, "first").locator(".jp-DLEnv-kernels")).to_contain_text("Untitled.ipynb")
    for index in lit:
        expect(row(page, "first").get_by_text(f"GPU {index}")).to_be_visible()


def test_a_launch_that_fails_says_why_and_what_else_can_be_done(
    docker_lab: Lab, page: Page
) -> None:
    open_lab(page, docker_lab)
    run_command(page, "dlenv:create-environment")
    choose_image(page, "localhost:1/team/nothing:1")
    form(page).get_by_role("button", name="More GPUs").click()
    expect(form(page).get_by_role("checkbox", checked=True)).to_have_count(1, timeout=30_000)
    form(page).get_by_role("button", name="Launch").click()

    alert = panel(page).get_by_role("alert")
    expect(alert).to_contain_text("localhost:1", timeout=30_000)
    expect(panel(page).get_by_text("What the engine said")).to_be_visible()
    expect(page.get_by_text("nothing was not launched.")).to_be_visible()
    open_sidebar(page)
    expect(row(page, "nothing")).to_contain_text("Failed")
    screenshot(page, "journey-failure")

    alert.get_by_role("button", name="Launch without GPUs").click()

    expect(panel(page).get_by_role("alert")).to_contain_text("localhost:1", timeout=30_000)
    [first, second] = docker_lab.request("GET", "jobs")["jobs"][-2:]
    assert (1, 0) == (first["spec"]["gpus"], second["spec"]["gpus"])
    row(page, "nothing").get_by_role("button", name="Dismiss").click()
    expect(row(page, "nothing")).to_have_count(0)


def test_a_launch_survives_a_reload_shows_in_every_tab_and_is_cancelled_in_any(
    docker_lab: Lab, page: Page, context: BrowserContext, silent_registry: str
) -> None:
    open_lab(page, docker_lab)
    run_command(page, "dlenv:create-environment")
    choose_image(page, silent_registry)
    with page.expect_response(is_layout_saved):
        form(page).get_by_role("button", name="Launch").click()
        pulling = panel(page).locator("[aria-current=step]", has_text="Pulling")
        expect(pulling).to_be_visible(timeout=AT_ONCE)

    page.reload()

    expect(pulling).to_be_visible(timeout=60_000)
    other = context.new_page()
    open_lab(other, docker_lab)
    open_sidebar(other)
    expect(row(other, "large")).to_contain_text("Pulling")

    row(other, "large").get_by_role("button", name="Cancel").click()

    expect(panel(page).get_by_role("status")).to_have_text("Cancelled", timeout=AT_ONCE)
    expect(row(other, "large")).to_have_count(0)


@pytest.fixture
def saved_image(images) -> Iterator[str]:
    name = f"dlenv-test/saved-{uuid.uuid4().hex[:8]}:1"
    yield name
    with contextlib.suppress(docker.errors.ImageNotFound):
        images.client.images.remove(name, force=True)


def test_stop_start_save_and_remove_in_two_tabs_that_stay_in_step(
    docker_lab: Lab, page: Page, context: BrowserContext, images, saved_image: str
) -> None:
    """Earns its time: two pages and one engine agree at each step."""
    docker_lab.launch(name="mine", image=images.ensure("kernel"))
    other = context.new_page()
    for tab in (page, other):
        open_lab(tab, docker_lab)
        open_sidebar(tab)
        expect(row(tab, "mine")).to_contain_text("Running")

    def act(item: str) -> None:
        # The browser draws a tab that nobody looks at once a second.
        page.bring_to_front()
        row(page, "mine").get_by_role("button", name="More actions").click()
        page.get_by_role("menuitem", name=item, exact=True).click()

    act("Stop")
    for tab in (page, other):
        expect(row(tab, "mine")).to_contain_text("Stopped", timeout=30_000)
    other.bring_to_front()
    row(other, "mine").get_by_role("button", name="Start").click()
    for tab in (page, other):
        expect(row(tab, "mine")).to_contain_text("Running", timeout=LAUNCH)
    act("Export or save")
    expect(panel(page).get_by_text("devcontainer.json", exact=False).first).to_be_visible()
    panel(page).get_by_role("radio", name="Compose").click()
    expect(panel(page).get_by_label("Compose")).to_contain_text("services:")
    panel(page).get_by_label("Name of the image").fill(saved_image)
    panel(page).get_by_role("button", name="Save").click()
    expect(panel(page).get_by_text(f"{saved_image} is saved")).to_be_visible(timeout=30_000)
    panel(page).get_by_role("button", name="Save").click()
    expect(panel(page).get_by_role("button", name="Replace the image")).to_be_visible()
    act("Logs")
    expect(panel(page).get_by_role("heading", name="Logs of mine")).to_be_visible()
    act("Remove")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("its home directory")
    expect(dialog).to_contain_text("notebooks")
    dialog.get_by_role("button", name="Remove mine").click()
    for tab in (page, other):
        expect(row(tab, "mine")).to_have_count(0, timeout=30_000)

    run_command(page, "dlenv:create-environment")
    choose_image(page, "python")
    form(page).locator("summary", has_text="Advanced").click()
    form(page).get_by_label("Engine").select_option(label="Processes, no containers")
    for tab in (page, other):
        expect(sidebar(tab).get_by_text("Processes, no containers")).to_be_visible()
    expect(form(page).get_by_text("--engine process").first).to_be_visible()
    other.bring_to_front()
    sidebar(other).get_by_role("button", name="Change").click()
    other.get_by_role("dialog").get_by_role("button", name="Use", exact=True).click()
    for tab in (page, other):
        expect(sidebar(tab).get_by_text("Processes, no containers")).to_have_count(0)


def test_the_ssh_line_that_is_copied_works_and_a_port_is_added_and_opened(
    docker_lab: Lab, page: Page, context: BrowserContext, images, tmp_path: Path
) -> None:
    """Earns its time: what the page hands out is really used, by ssh and by a browser."""
    docker_lab.launch(name="mine", image=images.ensure("kernel"))
    open_lab(page, docker_lab)
    open_sidebar(page)
    row(page, "mine").get_by_role("button", name="Connect").first.click()
    panel(page).get_by_role("radio", name="This machine").click()
    block = panel(page).get_by_role("heading", name="add to ~/.ssh/config")
    block.get_by_role("button", name="Copy").click()
    config = tmp_path / "ssh_config"
    config.write_text(page.evaluate("navigator.clipboard.readText()"))
    terminal = panel(page).locator(".jp-DLEnv-sect", has_text="Or a terminal")
    line = terminal.locator(".jp-DLEnv-cmd").first
    line.get_by_role("button", name="Copy").click()
    expect(line.get_by_role("button", name="Copied")).to_be_visible()
    [ssh, alias] = page.evaluate("navigator.clipboard.readText()").split()
    # Its own input and output, or ssh would wait for them.
    serve = "nohup python3 -m http.server -d /etc 8123 </dev/null >/dev/null 2>&1 & hostname"

    answer = subprocess.run(
        [ssh, "-F", str(config), "-o", "BatchMode=yes", alias, serve],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert "mine" == answer.stdout.strip(), answer.stderr
    port = panel(page).get_by_role("row", name="8123")
    expect(port).to_contain_text("Found", timeout=30_000)
    port.get_by_role("button", name="Add").click()
    expect(port).to_contain_text("Forwarded")
    with context.expect_page() as opened:
        port.get_by_role("link", name="Open port 8123").click()
    expect(opened.value.get_by_role("link", name="passwd", exact=True)).to_be_visible()
    port.get_by_role("button", name="Remove the forward").click()
    expect(port).to_contain_text("Found")
