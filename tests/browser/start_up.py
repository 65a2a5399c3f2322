"""Measures what our extension adds to the start of JupyterLab; asked for by name.

``cd tests && ../.venv/bin/python -m browser.start_up 30``

Two servers, one of which has never heard of us, are opened in turn in one browser, so that
a machine that is busy is busy for both.  A page has started when its launcher can be clicked.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

from .lab import Lab, running_lab

_ROUNDS = 20
#: The first pages fill the browser's cache, as a user's browser has filled it long ago.
_UNCOUNTED = 2
_STARTED = """() => document.querySelector('.jp-LauncherCard')
    && !document.querySelector('.jp-mod-splash, #jupyterlab-splash')
    && performance.now()"""


@dataclass(frozen=True)
class Start:
    """One start: milliseconds on the clock, and of work of the page's main thread."""

    clock: float
    work: float


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        running_lab(engine="process", owner="start-up", with_extension=False) as without,
        running_lab(engine="process", owner="start-up") as ours,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with opened(browser) as one, opened(browser) as other:
            pairs = [
                # Each goes first every other time: what comes second finds a warmer machine.
                (start(one, without), start(other, ours))
                if number % 2
                else (start(other, ours), start(one, without))[::-1]
                for number in range(rounds + _UNCOUNTED)
            ][_UNCOUNTED:]
        browser.close()
    report("on the clock", [(a.clock, b.clock) for a, b in pairs])
    report("main thread", [(a.work, b.work) for a, b in pairs])


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def start(page: Page, lab: Lab) -> Start:
    """Open JupyterLab and return how long that took."""
    devtools = page.context.new_cdp_session(page)
    # Of the thread itself: what others do on this machine is not counted.
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(lab.page_url(), wait_until="commit")
    clock = page.wait_for_function(_STARTED, timeout=120_000).json_value()
    metrics = {m["name"]: m["value"] for m in devtools.send("Performance.getMetrics")["metrics"]}
    devtools.detach()
    # Away from it, so that nothing of this page runs while the other one starts.
    page.goto("about:blank")
    return Start(clock=clock, work=metrics["TaskDuration"] * 1000)


def report(what: str, pairs: list[tuple[float, float]]) -> None:
    """Print the medians, and the median of what the pairs differ by."""
    without, ours = median(a for a, _ in pairs), median(b for _, b in pairs)
    ratios = sorted(b / a for a, b in pairs)
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    print(
        f"{what}: {without:.0f} ms without, {ours:.0f} ms with us: "
        f"{ours / without - 1:+.1%}; of {len(pairs)} pairs, the median is "
        f"{median(ratios) - 1:+.1%} (quartiles {low - 1:+.1%}, {high - 1:+.1%})"
    )


if __name__ == "__main__":
    sys.exit(main())
