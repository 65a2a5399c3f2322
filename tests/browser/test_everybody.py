"""The front end for everybody: by keyboard, in Chinese, for screen readers, in Notebook 7."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from .lab import Lab
from .showroom import PROJECT, Showroom, failed, preparing, pulling
from .views import (
    LAB_LOADS,
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

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")


@pytest.fixture
def showroom(page: Page) -> Showroom:
    """Let pages see a machine with eight GPUs and environments in all states."""
    room = Showroom()
    room.attach(page)
    return room


@pytest.fixture
def chinese(lab: Lab) -> Iterator[None]:
    lab.set_setting("@jupyterlab/translation-extension:plugin", {"locale": "zh_CN"})
    yield
    lab.set_setting("@jupyterlab/translation-extension:plugin", {})


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until something has the focus, as somebody without a mouse does."""
    for _ in range(30):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"The Tab key does not lead to {target}.")


def test_the_keyboard_alone_leads_from_the_palette_to_a_notebook(lab: Lab, page: Page) -> None:
    open_lab(page, lab)
    keyboard = page.keyboard
    keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input:focus").fill("New DL environment")
    keyboard.press("Enter")
    expect(page.get_by_label("Search images")).to_be_focused()
    keyboard.type("python")
    keyboard.press("Enter")
    taken = form(page).get_by_role("checkbox", checked=True)
    tab_to(page, form(page).get_by_role("button", name="More GPUs"))
    keyboard.press("ArrowUp")
    expect(taken).to_have_count(1)
    tab_to(page, form(page).get_by_role("checkbox").first)
    keyboard.press("Space")
    expect(form(page).get_by_text("GPU 0: ")).to_be_visible()
    for _ in range(2):
        keyboard.press("ArrowDown")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    expect(form(page).get_by_role("checkbox", name="GPU 5")).to_be_checked()
    expect(taken).to_have_count(2)
    keyboard.press("Shift+Tab")
    for _ in range(2):
        keyboard.press("ArrowDown")
    expect(taken).to_have_count(0)
    keyboard.press("Control+Enter")

    notebook = page.locator(".jp-NotebookPanel:visible")
    expect(notebook.locator(".jp-Toolbar-kernelName")).to_contain_text("python", timeout=60_000)


def test_a_request_that_is_wrong_is_said_while_it_is_typed(lab: Lab, page: Page) -> None:
    open_lab(page, lab)
    run_command(page, "dlenv:create-environment")
    choose_image(page, "python")
    launch = form(page).get_by_role("button", name="Launch", exact=True)
    expect(launch).to_be_enabled()

    form(page).get_by_label("Name", exact=True).fill("Not a name")

    expect(form(page).locator("#jp-DLEnv-error-name")).to_contain_text("cannot be the name")
    expect(launch).to_be_disabled()
    form(page).get_by_label("Name", exact=True).fill("fine")
    form(page).get_by_text("Advanced").click()
    form(page).get_by_label("Shared memory").fill("much")
    expect(form(page).locator("#jp-DLEnv-error-shm_size")).to_contain_text("'much' is not a size")


def test_a_project_and_a_part_of_a_gpu_are_chosen_in_the_form(lab: Lab, page: Page) -> None:
    text = 'name = "bert"\nimage = "python"\n\n[labels]\nteam = "vision"\n'
    file = {"type": "file", "format": "text", "content": text}
    lab.request("PUT", "../../api/contents/dlenv.toml", file)
    open_lab(page, lab)

    open_sidebar(page).get_by_role("button", name="Start from dlenv.toml in this folder").click()

    expect(form(page).get_by_label("Name", exact=True)).to_have_value("bert")
    line = form(page).locator(".jp-DLEnv-cmd").first
    expect(line).to_contain_text(re.compile(r"launch --file \S+/dlenv.toml$"))
    form(page).get_by_role("button", name="More GPUs").click()
    part = form(page).get_by_role("group", name="GPU 6").get_by_role("checkbox").first
    part.click()
    expect(part).to_be_checked()
    # Never both, whole GPUs and parts.
    expect(form(page).get_by_role("checkbox", checked=True)).to_have_count(1)
    expect(line).to_contain_text("--gpus device=MIG-")
    part.click()
    with page.expect_response(lambda answer: answer.status == 202) as answer:
        form(page).get_by_role("button", name="Launch", exact=True).click()
    assert answer.value.json()["spec"]["labels"] == {"team": "vision"}
    lab.request("DELETE", "../../api/contents/dlenv.toml")


def test_everything_is_in_chinese(lab: Lab, chinese: None, page: Page) -> None:
    lab.launch(name="mine", image="python")
    open_lab(page, lab)
    expect(page.locator(".jp-LauncherCard", has_text="深度学习环境")).to_be_visible()
    open_sidebar(page)
    expect(sidebar(page).get_by_role("heading", name="深度学习环境")).to_be_visible()
    expect(row(page, "mine")).to_contain_text("运行中")
    run_command(page, "dlenv:create-environment")

    words = form(page).inner_text()

    assert "将要进行" in words
    expect(form(page).get_by_role("checkbox").first).to_be_visible()
    # Names and units are left as they are.
    assert not [w for w in ("Image", "Name", "Advanced", "Launch", "Free") if w in words]

    # The server's sentences: why a request is refused, why a launch failed, how to connect.
    form(page).get_by_label("搜索镜像").fill("python")
    page.keyboard.press("Enter")
    form(page).get_by_label("名称", exact=True).fill("Not a name")
    expect(form(page).locator("#jp-DLEnv-error-name")).to_contain_text("不能用作环境的名称")
    job = lab.request("POST", "environments", {"name": "not", "image": "missing"})
    run_command(page, "dlenv:show-launch", id=job["id"], name="not")
    why = page.locator(".jp-DLEnv-alert:visible")
    expect(why).to_contain_text("它运行的是普通进程", timeout=30_000)
    expect(why).to_contain_text("请启动镜像 python")
    run_command(page, "dlenv:connect-environment", name="mine")
    ways = panel(page).get_by_role("region", name="连接方式")
    expect(ways).to_contain_text("通过引擎自身的通道打开环境内的 shell。")
    expect(ways.locator("p").filter(has_text=re.compile(r"^[^\u4e00-\u9fff]+$"))).to_have_count(0)


def test_notebook_7_launches_beside_and_opens_a_notebook(
    lab: Lab, page: Page, context: BrowserContext
) -> None:
    page.goto(lab.page_url("tree"))
    expect(page.locator(".jp-DirListing")).to_be_visible(timeout=LAB_LOADS)
    run_command(page, "dlenv:create-environment")
    choose_image(page, "python")
    form(page).get_by_label("Name", exact=True).fill("seven")

    with context.expect_page(timeout=60_000) as opened:
        form(page).get_by_role("button", name="Launch", exact=True).click()

    notebook = opened.value
    expect(notebook.locator(".jp-NotebookPanel")).to_be_visible(timeout=LAB_LOADS)
    assert "seven" in run_cell(notebook, "import os; print(os.environ['DLENV_ENVIRONMENT'])")


#: All that is ours on a page; menus are JupyterLab's own.
OURS = (
    ".jp-DLEnv-panel:not(.lm-mod-hidden)",
    "#jupyter-dlenv-sidebar",
    ".jp-DLEnv-popover",
    ".jp-Dialog-content",
)


def violations(page: Page) -> list[str]:
    """Return what axe-core finds serious in our own parts of the page."""
    found: dict[str, Any] = page.evaluate(
        """parts => axe.run(
            {include: parts.filter(part => document.querySelector(part)).map(part => [part])},
            {resultTypes: ['violations']}
        )""",
        OURS,
    )
    assert len(found["passes"]) > 10
    return [
        f"{v['id']}: {v['help']}: {json.dumps([n['html'][:200] for n in v['nodes'][:3]])}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def in_all_themes(page: Page, view: str) -> dict[str, list[str]]:
    """Return what is serious in what the page shows now, by theme."""
    found = {}
    for theme in THEMES:
        set_theme(page, theme)
        serious = violations(page)
        if serious:
            found[f"{view}, {theme}"] = serious
    return found


def test_no_view_keeps_anybody_out_in_any_theme(lab: Lab, page: Page, showroom: Showroom) -> None:
    """Earns its time: every view and state in three themes, as axe-core sees them."""
    showroom.jobs = [pulling()]
    showroom.log = "Step 1/5 : FROM x\n"
    showroom.project = PROJECT
    showroom.engine = "gpu1"
    open_lab(page, lab)
    page.add_script_tag(path=AXE)
    open_sidebar(page)
    found: dict[str, list[str]] = {}
    for view, command, args in (
        ("form", "dlenv:create-environment", {"image": "nvcr.io/nvidia/pytorch:25.10-py3"}),
        ("pulling", "dlenv:show-launch", {"id": "job-pytorch-25-10"}),
        ("preparing", "dlenv:show-launch", {"id": "job-pytorch-25-10"}),
        ("failed", "dlenv:show-launch", {"id": "job-pytorch-25-10"}),
        ("connect", "dlenv:connect-environment", {"name": "bert-finetune"}),
        ("take along", "dlenv:take-environment-along", {"name": "bert-finetune"}),
        ("logs", "dlenv:show-logs", {"name": "bert-finetune"}),
        ("doctor", "dlenv:check-health", {}),
    ):
        states = {"preparing": [preparing()], "failed": [failed()]}
        showroom.jobs = states.get(view, showroom.jobs)
        run_command(page, command, **args)
        expect(panel(page).get_by_role("heading").first).to_be_visible()
        run_command(page, "dlenv:refresh")
        if view == "form":
            form(page).get_by_text("Advanced").click()
            form(page).get_by_role("button", name="Add mount").click()
            form(page).get_by_role("checkbox", name="3g.40gb").click()
        found |= in_all_themes(page, view)

    assert found == {}


def test_no_dialog_keeps_anybody_out_in_any_theme(lab: Lab, page: Page, showroom: Showroom) -> None:
    """Earns its time: what opens above a page, with a notebook that runs in an environment."""
    lab.launch(name="bert-finetune", image="python")
    open_lab(page, lab)
    page.add_script_tag(path=AXE)
    run_command(page, "notebook:create-new", kernelName="dlenv-bert-finetune")
    status = page.locator(".jp-DLEnv-statusitem")
    expect(status).to_be_visible(timeout=30_000)
    open_sidebar(page)
    found: dict[str, list[str]] = {}
    for view in ("remove", "recreate", "move"):
        command = "dlenv:move-notebook" if view == "move" else f"dlenv:{view}-environment"
        run_command(page, command, name="bert-finetune")
        expect(page.get_by_role("dialog")).to_be_visible()
        found |= in_all_themes(page, view)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    status.click()
    expect(page.locator(".jp-DLEnv-popover")).to_be_visible()

    found |= in_all_themes(page, "popover")

    assert found == {}
    page.keyboard.press("Escape")
    expect(status).to_be_focused()


def set_theme(page: Page, theme: str) -> None:
    run_command(page, "apputils:change-theme", theme=theme)
    page.wait_for_function(
        "theme => document.body.dataset.jpThemeName === theme"
        " && !document.querySelector('.jp-mod-theme-changing')",
        arg=theme,
    )
    # Colours fade from one theme to the next in a few places of JupyterLab's own.
    page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running'"
                           " || a.effect.getTiming().iterations === Infinity)")  # fmt: skip
