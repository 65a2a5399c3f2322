"""Measures how long our views hold a page up; asked for by name, and no part of the suite.

``pytest -s tests/browser/long_tasks.py``

A task is as long as the processor works for it: on a machine that is busy with other things,
the clock counts those, too.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .lab import Lab
from .showroom import Showroom, breathing, many_environments
from .views import form, open_lab, open_sidebar, run_command, sidebar

pytestmark = pytest.mark.browser

#: Milliseconds; above, people notice.
LONGEST_TASK = 50
ROUNDS = 5
CHANGE = """async () => {
    for (let i = 0; i < 8; i++) {
        window.jupyterapp.commands.execute('dlenv:refresh');
        await new Promise(done => setTimeout(done, 500));
    }
}"""
WORK = "() => { for (const end = performance.now() + 200; performance.now() < end;) {} }"


class Changing(Showroom):
    """Fifty environments, of which two in three are others at each look."""

    looks = 0

    def environments_now(self) -> list[dict[str, Any]]:
        self.looks += 1
        turned = {"running": "stopped", "stopped": "running"}
        return [
            {**item, "status": turned[item["status"]]} if (i + self.looks) % 3 else item
            for i, item in enumerate(self.environments)
        ]


@pytest.fixture
def showroom(page: Page) -> Changing:
    room = Changing(environments=many_environments(50), board=breathing())
    room.attach(page)
    return room


def longest_task(page: Page, script: str) -> tuple[float, float]:
    """Return the longest task of the main thread while a script runs.

    Returns:
        Its milliseconds on the processor, and those of the longest on the clock.
    """
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel"])
    page.evaluate(script)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    mains = {
        (e["pid"], e["tid"])
        for e in events
        if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event
        for event in events
        if (event["pid"], event["tid"]) in mains and event["name"].endswith("RunTask")
    ]
    return (
        max(task.get("tdur", 0) for task in tasks) / 1000,
        max(task.get("dur", 0) for task in tasks) / 1000,
    )


def test_fifty_environments_that_change_all_the_time_leave_the_page_alone(
    lab: Lab, page: Page, showroom: Changing
) -> None:
    open_lab(page, lab)
    open_sidebar(page)
    run_command(page, "dlenv:create-environment")
    expect(sidebar(page).locator(".jp-DLEnv-env")).to_have_count(50)
    expect(form(page).get_by_role("checkbox", name="GPU")).to_have_count(7)
    page.wait_for_load_state("networkidle")

    looks = showroom.looks
    rounds = [longest_task(page, CHANGE) for _ in range(ROUNDS)]

    words = "; ".join(f"{work:.1f} ms ({clock:.0f} on the clock)" for work, clock in rounds)
    print(f"The longest task of each round: {words}; {showroom.looks - looks} changes")
    assert max(work for work, _ in rounds) < LONGEST_TASK
    assert showroom.looks - looks >= 5 * ROUNDS
    # What would be seen is seen.
    assert longest_task(page, WORK)[0] > LONGEST_TASK
