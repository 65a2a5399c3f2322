"""Takes pictures of every view, for people to look at: ``make screenshots``.

The pages are those of a real JupyterLab; what the server answers is prepared (``showroom.py``),
so that there are eight GPUs and NVIDIA's images in the pictures.  With names of pictures as
arguments, only those groups are taken that begin with one: ``python -m browser.screenshots form``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Error, Page, Route, expect, sync_playwright

from .lab import ARTIFACTS, Lab, running_lab
from .showroom import (
    BUILD_LOG,
    PROJECT,
    UNREACHABLE,
    Showroom,
    breathing,
    failed,
    many_environments,
    no_gpus,
    nothing_leased,
    preparing,
    pulling,
    ready,
)
from .views import LAB_LOADS, form, open_lab, open_sidebar, panel, row, run_command

PACKAGE = Path(__file__).parents[2] / "jupyter_dlenv"
OUT = ARTIFACTS / "screenshots"
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
HIGH_CONTRAST = "JupyterLab Dark High Contrast"
NAME = "bert-finetune"
#: What JupyterLab takes if the machine has it; where tests run, there are few fonts.
FONTS = """:root {
    --jp-ui-font-family: Inter, 'Noto Sans CJK SC', sans-serif !important;
    --jp-code-font-family-default: 'DejaVu Sans Mono', monospace !important;
}"""
CODE = 'import os\nos.environ["DLENV_ENVIRONMENT"]'
#: As many as fill the graphs of loads.
LOOKS = 150


@dataclass(frozen=True)
class Look:
    """One language and theme, and what its pictures' names end in."""

    suffix: str = ""
    theme: str = LIGHT
    locale: str = ""
    words: dict[str, list[str]] = field(default_factory=dict)

    def say(self, message: str, *filled: object) -> str:
        """Return what the front end says for a message."""
        text = self.words.get(message, [message])[0]
        return re.sub(r"%(\d)", lambda m: str(filled[int(m[1]) - 1]), text)

    def choose(self, lab: Lab) -> None:
        lab.set_setting("@jupyterlab/apputils-extension:themes", {"theme": self.theme})
        locale = {"locale": self.locale} if self.locale else {}
        lab.set_setting("@jupyterlab/translation-extension:plugin", locale)


CHINESE = Look(
    suffix="-zh",
    locale="zh_CN",
    words=json.loads((PACKAGE / "locale/zh_CN/LC_MESSAGES/jupyter_dlenv.json").read_text()),
)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = tuple(sys.argv[1:])
    expect.set_options(timeout=60_000)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        running_lab(engine="process", owner="pictures") as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        lab.launch(name=NAME, image="python")
        for name in ("train", "eval"):
            write_notebook(lab, name, CODE, f"'{NAME}'")
        for look in (Look(), Look(suffix="-dark", theme=DARK), CHINESE):
            look.choose(lab)
            for group in GROUPS:
                if group.__name__.startswith(wanted or ("",)):
                    take(group, browser, lab, look)
        for look, others in (
            (Look(suffix="-high-contrast", theme=HIGH_CONTRAST), (forms, launches, connecting)),
            (Look(), (notebook_7,)),
            (Look(suffix="-dark", theme=DARK), (notebook_7,)),
            (CHINESE, (notebook_7,)),
        ):
            look.choose(lab)
            for group in others:
                if group.__name__.startswith(wanted or ("",)):
                    take(group, browser, lab, look)
        browser.close()
    print(f"{len(list(OUT.glob('*.png')))} pictures are in {OUT}")


def take(
    group: Callable[[Browser, Lab, Look], None], browser: Browser, lab: Lab, look: Look
) -> None:
    """Take a group of pictures, twice if need be."""
    try:
        group(browser, lab, look)
    except (AssertionError, Error) as error:
        # Such as a theme that JupyterLab gave up to load on a busy machine.
        print(f"{group.__name__}{look.suffix} is tried again: {error}")
        group(browser, lab, look)


def launcher(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom()) as page:
        shoot(page, "launcher", look)


def forms(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom(project=PROJECT), height=940) as page:
        recently(page, lab, "nvcr.io/nvidia/nemo:25.09")
        fill_form(page, look)
        shoot(page, "form", look)
        part = form(page).get_by_role("checkbox", name="3g.40gb")
        part.click()
        expect(part).to_be_checked()
        form(page).get_by_role("button", name="bert-distil").click()
        part.click()
        shoot(page, "form-project-and-slice", look)
    wrong = problem("shm_size", "The shared memory needs at least 1 MiB.", "Try 8g.")
    room = Showroom(problems=[wrong])
    with at(browser, lab, room, height=1420) as page:
        # A field that is wrong opens the advanced part by itself.
        fill_form(page, look)
        add_rows(page, look)
        form(page).get_by_label(look.say("Shared memory")).fill("700")
        shoot(page, "form-advanced", look)
    with at(browser, lab, Showroom(environments=[], board=no_gpus)) as page:
        run_command(page, "dlenv:create-environment")
        form(page).get_by_role("button", name=re.compile("^PyTorch ")).click()
        expect(form(page).get_by_role("radio", name="25.10-py3")).to_be_visible()
        shoot(page, "form-no-gpus", look)
    with at(browser, lab, Showroom(), width=1000, height=1300) as page:
        fill_form(page, look)
        shoot(page, "form-narrow", look)


def launches(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom(jobs=[pulling()])) as page:
        show_launch(page)
        shoot(page, "progress", look)
    with at(browser, lab, Showroom(jobs=[preparing()], log=BUILD_LOG)) as page:
        show_launch(page)
        panel(page).get_by_role("button", name=look.say("Build log")).click()
        shoot(page, "build", look)
    with at(browser, lab, Showroom(jobs=[failed()])) as page:
        show_launch(page)
        expect(panel(page).get_by_text(look.say("%1 failed", 1))).to_be_visible()
        shoot(page, "failure", look)
    with at(browser, lab, Showroom(jobs=[ready()])) as page:
        show_launch(page)
        shoot(page, "ready", look)


def working(browser: Browser, lab: Lab, look: Look) -> None:
    room = Showroom(jobs=[pulling()], board=breathing())
    with at(browser, lab, room) as page:
        open_sidebar(page)
        widen_sidebar(page, 70)
        for name in ("eval", "train"):
            open_notebook(page, name)
        expect(page.locator(".jp-DLEnv-statusitem")).to_contain_text(NAME)
        for _ in range(LOOKS):
            with page.expect_response("**/dlenv/api/gpus*"):
                run_command(page, "dlenv:refresh")
        shoot(page, "sidebar", look)
        page.locator(".jp-DLEnv-statusitem").click()
        expect(page.locator(".jp-DLEnv-popover")).to_be_visible()
        room.jobs = [{**pulling(), "phase": "ready", "ended": "now"}]
        # As if the laptop had slept: launches are asked for anew.
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_text(look.say("%1 is ready", "pytorch-25-10"))).to_be_visible()
        # A notification that is hurried on would be gone.
        shoot(page, "status", look, animations="allow")


def dialogs(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom()) as page:
        open_sidebar(page)
        row(page, NAME).get_by_role("button", name=look.say("More actions for %1", NAME)).click()
        expect(page.locator(".lm-Menu")).to_be_visible()
        shoot(page, "menu", look)
        page.keyboard.press("Escape")
        for name, command in (
            ("remove", "dlenv:remove-environment"),
            ("other-gpus", "dlenv:recreate-environment"),
        ):
            run_command(page, command, name=NAME)
            expect(page.get_by_role("dialog")).to_be_visible()
            shoot(page, f"dialog-{name}", look)
            page.keyboard.press("Escape")
        open_notebook(page, "train")
        run_command(page, "dlenv:move-notebook")
        expect(page.get_by_role("dialog")).to_be_visible()
        shoot(page, "dialog-move", look)


def dying(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom()) as page:
        write_notebook(lab, "oom", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        open_notebook(page, "oom")
        run_command(page, "notebook:run-all-cells")
        last_words = page.get_by_role("button", name=look.say("Last words"))
        expect(last_words).to_be_visible(timeout=30_000)
        # JupyterLab's own, which does not know why.
        page.locator(".jp-Dialog .jp-mod-accept").click()
        shoot(page, "kernel-died", look)
        last_words.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        shoot(page, "dialog-last-words", look)
    [ended] = [s for s in lab.request("GET", "../../api/sessions") if s["path"] == "oom.ipynb"]
    lab.request("DELETE", f"../../api/sessions/{ended['id']}")
    lab.request("DELETE", "../../api/contents/oom.ipynb")


def connecting(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom()) as page:
        run_command(page, "dlenv:connect-environment", name=NAME)
        expect(panel(page).get_by_text(look.say("Where are you?"))).to_be_visible()
        shoot(page, "connect", look)
        panel(page).get_by_role("radio", name=look.say("Only this Jupyter URL")).click()
        panel(page).get_by_role("button", name="PyCharm").click()
        page.set_viewport_size({"width": 1440, "height": 1000})
        shoot(page, "connect-jupyter-url", look)
        page.set_viewport_size({"width": 1000, "height": 1300})
        shoot(page, "connect-narrow", look)
        page.set_viewport_size({"width": 1440, "height": 900})
        run_command(page, "dlenv:take-environment-along", name=NAME)
        expect(panel(page).get_by_text("devcontainer.json")).to_be_visible()
        shoot(page, "take-along", look)
        run_command(page, "dlenv:show-logs", name=NAME)
        expect(panel(page).get_by_text("tensorboard")).to_be_visible()
        shoot(page, "logs", look)
        run_command(page, "dlenv:check-health")
        expect(panel(page).get_by_text(look.say("%1 failed", 1))).to_be_visible()
        shoot(page, "doctor", look)


def sidebars(browser: Browser, lab: Lab, look: Look) -> None:
    for name, room in (
        ("narrow", Showroom(jobs=[pulling()])),
        ("empty", Showroom(environments=[], board=nothing_leased, project=PROJECT)),
        ("no-engine", Showroom(environments=[], board=nothing_leased, failure=UNREACHABLE)),
        ("other-engine", Showroom(engine="gpu1")),
        ("30-environments", Showroom(environments=many_environments(30))),
    ):
        with at(browser, lab, room, width=900) as page:
            open_sidebar(page)
            page.wait_for_load_state("networkidle")
            shoot(page, f"sidebar-{name}", look)


def notebook_7(browser: Browser, lab: Lab, look: Look) -> None:
    with at(browser, lab, Showroom(), path="tree") as page:
        run_command(page, "dlenv:create-environment")
        form(page).get_by_role("button", name=re.compile("^PyTorch ")).click()
        shoot(page, "notebook-7", look)
        form(page).get_by_role(
            "button", name=look.say("Launch"), exact=True
        ).scroll_into_view_if_needed()
        shoot(page, "notebook-7-end", look)


#: In the order of a first day.
GROUPS: tuple[Callable[[Browser, Lab, Look], None], ...] = (
    launcher, forms, launches, working, connecting, dialogs, dying, sidebars,
)  # fmt: skip


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
    context.set_default_timeout(30_000)
    page = context.new_page()
    room.attach(page)
    page.route("**/api/kernelspecs*", name_kernels if room.environments else hide_kernels)
    if path == "lab":
        open_lab(page, lab)
    else:
        page.goto(lab.page_url(path))
        expect(page.locator(".jp-DirListing")).to_be_visible(timeout=LAB_LOADS)
    page.add_style_tag(content=FONTS)
    yield page
    context.close()


def hide_kernels(route: Route) -> None:
    """Let there be no environment in the launcher either."""
    answer = route.fetch()
    specs = answer.json()
    del specs["kernelspecs"][f"dlenv-{NAME}"]
    route.fulfill(response=answer, json=specs)


def name_kernels(route: Route) -> None:
    """Call the kernel as those are called whose environments have NVIDIA's images and GPUs."""
    answer = route.fetch()
    specs = answer.json()
    kernel = specs["kernelspecs"].get(f"dlenv-{NAME}")
    if kernel:
        for name, framework, title in (
            (NAME, "pytorch", "PyTorch 25.10 ·\u00a02\u00a0GPUs"),
            ("ablation-seed", "jax", "JAX 25.10 ·\u00a02\u00a0GPUs"),
            ("tabular", "rapids", "RAPIDS 25.10 ·\u00a01\u00a0GPU"),
        ):
            logo = (PACKAGE / f"kernels/logos/{framework}.svg").read_text()
            specs["kernelspecs"][f"dlenv-{name}"] = {
                "name": f"dlenv-{name}",
                "spec": {**kernel["spec"], "display_name": title},
                "resources": {"logo-svg": f"data:image/svg+xml,{logo.replace('#', '%23')}"},
            }
    route.fulfill(response=answer, json=specs)


def write_notebook(lab: Lab, name: str, code: str, printed: str = "") -> None:
    """Put a notebook of the environment, with one cell, among the server's files."""
    output = {
        "output_type": "execute_result", "execution_count": 1, "metadata": {},
        "data": {"text/plain": printed},
    }  # fmt: skip
    content = {
        "cells": [
            {"cell_type": "code", "source": code, "metadata": {}, "id": "1",
             "execution_count": 1 if printed else None, "outputs": [output] if printed else []}
        ],
        "metadata": {"kernelspec": {"name": f"dlenv-{NAME}", "display_name": NAME}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    body = {"type": "notebook", "format": "json", "content": content}
    lab.request("PUT", f"../../api/contents/{name}.ipynb", body)


def recently(page: Page, lab: Lab, *images: str) -> None:
    """Let the page's browser remember images that were launched."""
    page.evaluate(
        "([key, value]) => localStorage.setItem(key, value)",
        [f"jupyter-dlenv:last-launch:{lab.url}", json.dumps({"images": images})],
    )


def fill_form(page: Page, look: Look) -> None:
    run_command(page, "dlenv:create-environment")
    form(page).get_by_role("button", name=re.compile("^PyTorch ")).click()
    form(page).get_by_role("radio", name="25.10-py3").click()
    for _ in range(2):
        form(page).get_by_role("button", name=look.say("More GPUs")).click()
    expect(form(page).get_by_role("checkbox", checked=True)).to_have_count(2)


def add_rows(page: Page, look: Look) -> None:
    for name in ("Add mount", "Add port", "Add variable"):
        form(page).get_by_role("button", name=look.say(name)).click()
    for name, value in (
        ("Directory of this machine", "/data/wiki"),
        ("Port inside", "6006"),
        ("Name of the variable", "WANDB_MODE"),
        ("Value of the variable", "offline"),
        ("Minutes without use after which it stops", "60"),
    ):
        form(page).get_by_label(look.say(name)).fill(value)


def open_notebook(page: Page, name: str) -> None:
    """Open a notebook, and wait for its kernel: what is run before is forgotten."""
    run_command(page, "docmanager:open", path=f"{name}.ipynb")
    page.wait_for_function(
        """async path => {
            const panel = window.jupyterapp.shell.currentWidget;
            if (panel?.context?.path !== path) {
                return false;
            }
            await panel.revealed;
            await panel.sessionContext.ready;
            return Boolean(await panel.sessionContext.session?.kernel?.info);
        }""",
        arg=f"{name}.ipynb",
        timeout=60_000,
    )
    expect(page.locator(".jp-DLEnv-statusitem")).to_contain_text(NAME)


def show_launch(page: Page) -> None:
    run_command(page, "dlenv:show-launch", id="job-pytorch-25-10", name="pytorch-25-10")
    expect(panel(page).get_by_role("heading", name="pytorch-25-10")).to_be_visible()


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


def shoot(
    page: Page, name: str, look: Look, animations: Literal["allow", "disabled"] = "disabled"
) -> None:
    # Pictures are of what stands still: the last answers are drawn, and nothing slides any more.
    page.wait_for_timeout(600)
    page.screenshot(path=OUT / f"{name}{look.suffix}.png", animations=animations)


if __name__ == "__main__":
    sys.exit(main())
