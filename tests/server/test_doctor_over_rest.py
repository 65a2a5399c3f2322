"""The doctor over REST: it answers whatever is wrong, and holds up nobody meanwhile."""

from __future__ import annotations

import asyncio

import pytest


def finding(answer, id_):
    return next(f for f in answer.json["findings"] if f["id"] == id_)


async def test_the_doctor_finds_the_engine_and_our_parts(api):
    answer = await api.get("/doctor")

    assert "ok" == finding(answer, "engine")["severity"]
    assert "ok" == finding(answer, "parts")["severity"]


async def test_others_are_served_while_the_doctor_looks(api):
    looking = asyncio.ensure_future(api.get("/doctor"))

    await api.get("/engine")

    assert 200 == (await looking).code


class TestAnEngineThatIsAway:
    @pytest.fixture
    def engine(self, tmp_path):
        return f"unix://{tmp_path}/docker.sock"

    async def test_it_is_a_finding_and_no_failure(self, api):
        answer = await api.get("/doctor")

        assert 200 == answer.code
        assert "error" == finding(answer, "E01")["severity"]


class TestAnEngineThatThereIsNot:
    @pytest.fixture
    def engine(self):
        return "bogus"

    async def test_it_is_a_finding_and_no_failure(self, api):
        answer = await api.get("/doctor")

        assert "There is no engine 'bogus'." == finding(answer, "E04")["title"]
