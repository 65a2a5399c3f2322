"""What nobody thought of, over REST: a sentence and a code, and nothing of the inside."""

from __future__ import annotations

import pytest
from rig import odd_engine


@pytest.fixture
def engine(tmp_path):
    with odd_engine.serve(tmp_path / "odd.sock") as address:
        yield address


@pytest.fixture
def dlenv(jp_serverapp):
    """Return the extension; on this engine there is nothing to remove at the end."""
    return jp_serverapp.extension_manager.extension_points["jupyter_dlenv"].app


async def test_no_route_shows_a_traceback(api):
    for path in ("/environments", "/environments/a", "/engine", "/images", "/catalogue"):
        answer = await api.get(path)
        assert (500, "internal-error") == (answer.code, answer.error["code"]), path
        assert b"KeyError" not in answer.body
        assert b"Traceback" not in answer.body


async def test_no_job_shows_a_traceback(api):
    job = (await api.post("/environments", {"name": "a", "image": "b"})).json
    pull = (await api.post("/pulls", {"image": "b"})).json

    for error in (
        (await api.ended(job["id"]))["error"],
        (await api.pulled(pull))["error"],
    ):
        assert "internal-error" == error["code"]
        assert "" == error["detail"]
