"""A JupyterLab server for the tests of a module, and a browser that looks at it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from .lab import Lab, running_lab, screenshot


@pytest.fixture(scope="module")
def process_server(run_id: str) -> Iterator[Lab]:
    with running_lab(engine="process", owner=run_id) as lab:
        yield lab


@pytest.fixture(scope="module")
def docker_server(run_id: str, docker_engine_url: str) -> Iterator[Lab]:
    with running_lab(engine=docker_engine_url, owner=run_id) as lab:
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


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a browser; what it shows at the end is kept as a picture for people to look at."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        _missing_browser()
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses root, and containers without user namespaces.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(30_000)
        try:
            yield page
        finally:
            screenshot(page, re.sub(r"\W+", "-", request.node.name))
            browser.close()


def _missing_browser() -> None:
    reason = "There is no Chromium here (Debian: apt-get install chromium)."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
