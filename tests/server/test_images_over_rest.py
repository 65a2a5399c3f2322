"""Images over REST, against a registry as NVIDIA's: what there is, sheets, pulls as jobs."""

from __future__ import annotations

import asyncio
import time

import pytest
from rig.ngc import REPOSITORY

from jupyter_dlenv.server.events import PULL

from .client import until

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_engine_url):
    return docker_engine_url


@pytest.fixture
def configuration(configuration, gate):
    return {**configuration, "catalogue_registry": gate.address}


async def ended(api, pull):
    end = time.monotonic() + 30
    while not pull["ended"]:
        assert time.monotonic() < end, pull
        await asyncio.sleep(0.05)
        pull = (await api.get(f"/pulls/{pull['id']}")).json
    return pull


async def test_what_there_is_and_what_it_would_mean(api, gate, publish):
    name = publish("30.05-py3", sizes=(1000,))

    catalogue = (await api.get("/catalogue", params={"live": "1"})).json
    tags = (await api.get("/tags", params={"repository": "pytorch"})).json
    sheet = (await api.get("/images/sheet", params={"image": "pytorch"})).json

    offer = next(o for o in catalogue["offers"] if o["name"] == "pytorch")
    assert (catalogue["registry"], offer["tags"][0]) == (gate.address, "30.05-py3")
    assert "does not have" in next(o for o in catalogue["offers"] if o["name"] == "jax")["problem"]
    assert tags["tags"][0] == {"tag": "30.05-py3", "ready": False}
    assert (sheet["image"], sheet["here"], sheet["layers"]) == (name, False, 1)
    assert "License" in sheet["licence"] or "Agreement" in sheet["licence"]


async def test_a_pull_is_a_job_that_all_who_want_it_get(api, gate, publish, event_log):
    name = publish("30.06-py3")
    gate.behaviour.rate = 3_000_000

    first, second = [(await api.post("/pulls", {"image": name})).json for _ in range(2)]
    done = await ended(api, first)

    assert first["id"] == second["id"]
    assert (done["phase"], done["error"], done["image"]) == ("ready", None, name)
    assert done["current"] == done["total"] > 0
    assert done["id"] in [p["id"] for p in (await api.get("/pulls")).json["pulls"]]
    events = await until(lambda: [e for e in event_log.of(PULL) if e["phase"] == "ready"])
    assert (events[0]["pull"], events[0]["image"]) == (done["id"], name)


async def test_a_pull_can_be_stopped(api, gate, publish):
    pull = (await api.post("/pulls", {"image": publish("30.07-py3")})).json
    gate.behaviour.rate = 200_000

    answer = await api.delete(f"/pulls/{pull['id']}")
    done = await ended(api, answer.json)

    assert (done["phase"], done["error"]["code"]) == ("cancelled", "pull-cancelled")


async def test_what_cannot_be_fetched_says_why(api, gate):
    missing = (await api.post("/pulls", {"image": f"{gate.address}/{REPOSITORY}:nothing"})).json

    assert (await ended(api, missing))["error"]["code"] == "image-not-found"
    for body in ({}, {"image": 7}, {"image": "A B"}, {"image": "a", "tag": "b"}):
        answer = await api.post("/pulls", body or "{}")
        if answer.code == 202:
            assert (await ended(api, answer.json))["error"]["code"] == "invalid-spec"
        else:
            assert (answer.code, answer.error["code"]) == (400, "invalid-spec")
    assert (await api.get("/images/sheet")).code == 400
    assert (await api.get("/tags", params={"repository": "A B"})).code == 400
    assert (await api.get("/pulls/nothing")).code == 404
