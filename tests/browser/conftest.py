"""A JupyterLab server for the tests of a module, and a browser that looks at it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from rig.nvml import MIB, FakeDriver, FakeGpu, FakeMig, FakeNvml
from rig.nvml import build as build_nvml

from .lab import Lab, running_lab, screenshot
from .witness import Witness

_WITNESS = pytest.StashKey[Witness]()

#: In all states: in use, idle, linked, parted and lost.
EIGHT_GPUS = FakeDriver(
    nvlinks=[(0, 1), (2, 3), (4, 5)],
    gpus=(
        FakeGpu(used=73_000 * MIB, utilization=97),
        FakeGpu(used=38_000 * MIB, utilization=62),
        *(FakeGpu(),) * 4,
        FakeGpu(migs=[FakeMig(index=0), FakeMig(index=1, used=8_000 * MIB)]),
        FakeGpu(lost=True),
    ),
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Tell what the page waited for, and what it and the server said, where a test failed."""
    report = yield
    witness = item.stash.get(_WITNESS, None)
    if report.failed and report.when == "call" and witness is not None:
        labs = [each for each in getattr(item, "funcargs", {}).values() if isinstance(each, Lab)]
        report.sections.extend(witness.report(labs[0].log if labs else None))
    return report


@pytest.fixture
def jp_asyncio_loop() -> None:
    """Make no loop: that of Playwright runs in this thread for as long as the browser does."""


@pytest.fixture
def jp_server_cleanup() -> None:
    """Clean up nothing: the servers of these tests are processes of their own."""


@pytest.fixture(scope="package")
def gpus(tmp_path_factory: pytest.TempPathFactory) -> FakeNvml:
    """Pretend eight GPUs to every server of these tests."""
    directory = tmp_path_factory.mktemp("nvml")
    fake = FakeNvml(build_nvml(directory), directory)
    fake.configure(EIGHT_GPUS)
    return fake


@pytest.fixture(scope="module")
def process_server(run_id: str, gpus: FakeNvml) -> Iterator[Lab]:
    with running_lab(engine="process", owner=run_id, environ=gpus.environ) as lab:
        yield lab


@pytest.fixture(scope="module")
def docker_server(run_id: str, docker_engine_url: str, gpus: FakeNvml) -> Iterator[Lab]:
    with running_lab(engine=docker_engine_url, owner=run_id, environ=gpus.environ) as lab:
        yield lab


@pytest.fixture
def lab(process_server: Lab) -> Iterator[Lab]:
    """Give a test a JupyterLab on the process engine, without any environment."""
    yield process_server
    process_server.remove_all()


@pytest.fixture
def docker_lab(docker_server: Lab) -> Iterator[Lab]:
    """Give a test a JupyterLab on the Docker engine of the tests, without any environment."""
    yield docker_server
    docker_server.remove_all()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Run one browser for all tests of this directory, and none beside other tests."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        _missing_browser()
    with _no_new_addresses(), sync_playwright() as playwright:
        # Chromium's sandbox refuses root, and containers without user namespaces.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def _no_new_addresses() -> Iterator[None]:
    """Have the interfaces of other tests' containers no IPv6 addresses, where that can be set.

    Chromium breaks off whatever it loads when the machine has a new one.  Our pages ask again
    (test_network.py), those of JupyterLab do not.
    """
    setting = Path("/proc/sys/net/ipv6/conf/default/addr_gen_mode")
    try:
        before = setting.read_text()
        setting.write_text("1")
    except OSError:
        yield
        return
    try:
        yield
    finally:
        setting.write_text(before)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Give a test a browser that remembers nothing of others; it may open several pages."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, context: BrowserContext) -> Iterator[Page]:
    """Open a page; what it shows at the end is kept as a picture for people to look at.

    An error that our code throws and nobody catches fails the test.
    """
    page = context.new_page()
    request.node.stash[_WITNESS] = Witness(page)
    errors: list[str] = []
    # Notebook 7 throws one of its own at each start.
    page.on(
        "pageerror",
        lambda error: "jupyter-dlenv" in (error.stack or "") and errors.append(error.stack),
    )
    # JupyterLab's own, which a machine that is very busy brings up now and then.
    theme = page.locator(".jp-Dialog", has_text="Error Loading Theme")
    page.add_locator_handler(theme, lambda: theme.locator(".jp-mod-accept").click())
    yield page
    screenshot(page, re.sub(r"\W+", "-", request.node.name))
    assert errors == []


def _missing_browser() -> None:
    reason = "There is no Chromium here (Debian: apt-get install chromium)."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
