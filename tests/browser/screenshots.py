"""Takes pictures of every view, for people to look at: ``make screenshots``.

The pages are those of a real JupyterLab; what the server answers is prepared (``showroom.py``),
so that there are eight GPUs and NVIDIA's images in the pictures.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from .lab import ARTIFACTS, Lab, running_lab
from .showroom import (
    BUILD_LOG,
    UNREACHABLE,
    Showroom,
    failed,
    many_environments,
    preparing,
    pulling,
)
from .views import LAB_LOADS, form, open_lab, open_sidebar, panel, run_cell, run_command

OUT = ARTIFACTS / "screenshots"
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
HIGH_CONTRAST = "JupyterLab Dark High Contrast"
CHINESE = {"locale": "zh_CN"}
NAME = "bert-finetune"
#: What JupyterLab takes if the machine has it; where tests run, there are few fonts.
FONTS = """:root {
    --jp-ui-font-family: Inter, 'Noto Sans CJK SC', sans-serif !important;
    --jp-code-font-family-default: 'DejaVu Sans Mono', monospace !important;
}"""
CODE = "import socket\nsocket.gethostname()"


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        running_lab(engine="process", owner="pictures") as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        lab.launch(name=NAME, image="python")
        for theme, suffix in ((LIGHT, ""), (DARK, "-dark")):
            lab.set_setting("@jupyterlab/apputils-extension:themes", {"theme": theme})
            everything(browser, lab, suffix)
        lab.set_setting("@jupyterlab/apputils-extension:themes", {"theme": HIGH_CONTRAST})
        high_contrast(browser, lab)
        lab.set_setting("@jupyterlab/apputils-extension:themes", {"theme": LIGHT})
        notebook_7(browser, lab)
        lab.set_setting("@jupyterlab/translation-extension:plugin", CHINESE)
        chinese(browser, lab)
        browser.close()
    print(f"{len(list(OUT.glob('*.png')))} pictures are in {OUT}")


def everything(browser: Browser, lab: Lab, suffix: str) -> None:
    room = Showroom()
    with at(browser, lab, room) as page:
        shoot(page, f"launcher{suffix}")
        fill_form(page)
        shoot(page, f"form{suffix}")
    room = Showroom(problems=[problem("shm_size", "700g of shared memory is more than this "
                                      "host has.", "It has 512 GB.")])  # fmt: skip
    with at(browser, lab, room, height=1150) as page:
        # A field that is wrong opens the advanced part by itself.
        fill_form(page)
        add_rows(page)
        form(page).get_by_label("Shared memory").fill("700g")
        shoot(page, f"form-advanced{suffix}")
    room = Showroom(jobs=[pulling()])
    with at(browser, lab, room) as page:
        show_launch(page)
        shoot(page, f"progress{suffix}")
        open_sidebar(page)
        widen_sidebar(page, 70)
        open_notebook(page)
        shoot(page, f"sidebar{suffix}")
        page.locator(".jp-DLEnv-statusitem").click()
        shoot(page, f"status{suffix}")
    with at(browser, lab, Showroom(jobs=[preparing()], log=BUILD_LOG)) as page:
        show_launch(page)
        panel(page).get_by_role("button", name="Build log").click()
        shoot(page, f"build{suffix}")
    with at(browser, lab, Showroom(jobs=[failed()])) as page:
        show_launch(page)
        expect(panel(page).get_by_text("1 failed")).to_be_visible()
        shoot(page, f"failure{suffix}")
    with at(browser, lab, Showroom()) as page:
        run_command(page, "dlenv:connect-environment", name=NAME)
        expect(panel(page).get_by_text("Where are you?")).to_be_visible()
        shoot(page, f"connect{suffix}")
        panel(page).get_by_role("radio", name="Only this Jupyter URL").click()
        panel(page).get_by_role("button", name="PyCharm").click()
        shoot(page, f"connect-jupyter-url{suffix}")
        run_command(page, "dlenv:check-health")
        expect(panel(page).get_by_text("1 failed")).to_be_visible()
        shoot(page, f"doctor{suffix}")
    sidebars(browser, lab, suffix)


def sidebars(browser: Browser, lab: Lab, suffix: str) -> None:
    for name, room in (
        ("narrow", Showroom(jobs=[pulling()])),
        ("empty", Showroom(environments=[])),
        ("no-engine", Showroom(environments=[], failure=UNREACHABLE)),
        ("30-environments", Showroom(environments=many_environments(30))),
    ):
        with at(browser, lab, room, width=900) as page:
            open_sidebar(page)
            page.wait_for_load_state("networkidle")
            shoot(page, f"sidebar-{name}{suffix}")


def high_contrast(browser: Browser, lab: Lab) -> None:
    with at(browser, lab, Showroom(jobs=[pulling()])) as page:
        fill_form(page)
        open_sidebar(page)
        shoot(page, "form-high-contrast")


def notebook_7(browser: Browser, lab: Lab) -> None:
    with at(browser, lab, Showroom(), path="tree") as page:
        run_command(page, "dlenv:create-environment")
        form(page).get_by_role("button", name="PyTorch").click()
        shoot(page, "notebook-7")


def chinese(browser: Browser, lab: Lab) -> None:
    with at(browser, lab, Showroom(jobs=[pulling()])) as page:
        fill_form(page, more="增加 GPU")
        open_sidebar(page)
        widen_sidebar(page, 70)
        shoot(page, "form-zh")
        run_command(page, "dlenv:connect-environment", name=NAME)
        shoot(page, "connect-zh")
        show_launch(page)
        shoot(page, "progress-zh")
    sidebars(browser, lab, "-zh")


@contextmanager
def at(
    browser: Browser,
    lab: Lab,
    room: Showroom,
    *,
    path: str = "lab",
    width: int = 1440,
    height: int = 900,
) -> Iterator[Page]:
    """Open a page that sees the showroom."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    room.attach(page)
    if path == "lab":
        open_lab(page, lab)
    else:
        page.goto(lab.page_url(path))
        expect(page.locator(".jp-DirListing")).to_be_visible(timeout=LAB_LOADS)
    page.add_style_tag(content=FONTS)
    yield page
    context.close()


def fill_form(page: Page, more: str = "More GPUs") -> None:
    run_command(page, "dlenv:create-environment")
    form(page).get_by_role("button", name="PyTorch").click()
    form(page).get_by_role("radio", name="25.10-py3").click()
    for _ in range(2):
        form(page).get_by_role("button", name=more).click()
    expect(form(page).get_by_role("checkbox", checked=True)).to_have_count(2)


def add_rows(page: Page) -> None:
    for name in ("Add mount", "Add port", "Add variable"):
        form(page).get_by_role("button", name=name).click()
    form(page).get_by_label("Directory of this machine").fill("/data/wiki")
    form(page).get_by_label("Port inside").fill("6006")
    form(page).get_by_label("Name of the variable").fill("WANDB_MODE")
    form(page).get_by_label("Value of the variable").fill("offline")


def show_launch(page: Page) -> None:
    run_command(page, "dlenv:show-launch", id="job-pytorch-25-10", name="pytorch-25-10")
    expect(panel(page).get_by_role("heading", name="pytorch-25-10")).to_be_visible()


def open_notebook(page: Page) -> None:
    run_command(page, "notebook:create-new", kernelName=f"dlenv-{NAME}")
    run_cell(page, CODE)
    expect(page.locator(".jp-DLEnv-statusitem")).to_contain_text(NAME)


def widen_sidebar(page: Page, by: int) -> None:
    box = page.locator("#jp-left-stack").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] + 1, box["y"] + 300
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by, y, steps=4)
    page.mouse.up()


def problem(field: str, message: str, hint: str) -> dict[str, str]:
    return {"field": field, "code": "invalid-spec", "message": message, "hint": hint, "detail": ""}


def shoot(page: Page, name: str) -> None:
    # Pictures are of what stands still: the last answers are drawn, and nothing slides any more.
    page.wait_for_timeout(600)
    page.screenshot(path=Path(OUT / f"{name}.png"), animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
