"""Our views as somebody at the page finds them: by what they show and are called."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from .lab import Lab

LAB_LOADS = 60_000


def open_lab(page: Page, lab: Lab, path: str = "lab") -> None:
    page.goto(lab.page_url(path))
    expect(page.locator(".jp-LauncherCard").first).to_be_visible(timeout=LAB_LOADS)


def run_command(page: Page, command: str, **args: Any) -> None:
    """Run a command of the application, as a menu or a key would."""
    page.wait_for_function("c => window.jupyterapp?.commands.hasCommand(c)", arg=command)
    page.evaluate(
        "([c, a]) => { void window.jupyterapp.commands.execute(c, a); }",
        [command, args],
    )


def form(page: Page) -> Locator:
    return page.locator(".jp-DLEnv-panel:visible", has=page.locator(".jp-DLEnv-form"))


def panel(page: Page) -> Locator:
    """The view of ours that is in front."""
    return page.locator(".jp-DLEnv-panel:visible")


def sidebar(page: Page) -> Locator:
    return page.locator("#jupyter-dlenv-sidebar")


def open_sidebar(page: Page) -> Locator:
    run_command(page, "dlenv:show-sidebar")
    expect(sidebar(page)).to_be_visible()
    return sidebar(page)


def row(page: Page, name: str) -> Locator:
    """An environment, or a launch, in the sidebar."""
    return sidebar(page).locator(".jp-DLEnv-env", has=page.get_by_role("heading", name=name))


def choose_image(page: Page, reference: str) -> None:
    """Paste a reference into the search field of the form, and press Enter."""
    search = form(page).get_by_label("Search images")
    search.fill(reference)
    search.press("Enter")


def run_cell(page: Page, code: str) -> str:
    """Run code in the first cell of the notebook in front, and return what it printed."""
    notebook = page.locator(".jp-NotebookPanel:visible")
    notebook.locator(".cm-content").first.wait_for()
    # JupyterLab forgets what is run before the kernel has told about itself.
    page.wait_for_function(
        """async () => {
            const session = window.jupyterapp.shell.currentWidget?.sessionContext;
            await session?.ready;
            return Boolean(await session?.session?.kernel?.info);
        }""",
        timeout=60_000,
    )
    notebook.locator(".cm-content").first.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    output = notebook.locator(".jp-OutputArea-output").first
    expect(output).to_be_visible(timeout=60_000)
    return output.inner_text()
