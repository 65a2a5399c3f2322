"""Pages on a network that changes, as it does where containers start on the same machine."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .lab import Lab
from .views import choose_image, form, open_lab, run_command

pytestmark = pytest.mark.browser


def test_what_is_broken_off_once_is_there_all_the_same(lab: Lab, page: Page) -> None:
    open_lab(page, lab)
    broken_off = set()

    def break_off_once(route: Route) -> None:
        path = route.request.url.partition("?")[0]
        if path in broken_off:
            route.continue_()
            return
        broken_off.add(path)
        # As Chromium calls a network that has changed, the page hears of a failure.
        route.abort("failed")

    page.route(re.compile(r"/dlenv/api/|/jupyter-dlenv/static/"), break_off_once)
    run_command(page, "dlenv:create-environment")
    with page.expect_response(re.compile("/dlenv/api/spec")) as checked:
        choose_image(page, "python")

    assert checked.value.ok
    expect(form(page).get_by_role("button", name="Launch", exact=True)).to_be_enabled()
    expect(form(page).get_by_role("group", name="GPU 6")).to_be_visible()
    assert any(path.endswith(".js") for path in broken_off)
