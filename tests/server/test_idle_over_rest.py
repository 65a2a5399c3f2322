"""For how long nobody has used an environment is shown, and pages are warned before it stops."""

from __future__ import annotations

from jupyter_dlenv.server.events import ENVIRONMENT

from .client import until


async def test_pages_are_warned_before_an_environment_stops(api, launched, started, event_log):
    await launched("a", idle_stop=0.04)
    shown = (await api.get("/environments/a")).json["idle"]

    def last():
        return [event for event in event_log.of(ENVIRONMENT) if event["name"] == "a"][-1]

    await until(lambda: last()["action"] == "stopped", what="stopped")

    assert 0 <= shown["seconds"] <= shown["seconds"] + shown["stops_in"] <= 3
    told = [event for event in event_log.of(ENVIRONMENT) if event["action"] == "idle"]
    assert ["a"] == [event["name"] for event in told]
    assert 0 <= told[0]["stops_in"] <= 1
    assert 124 == (await api.get("/environments/a")).json["exit_code"]
    assert (await api.get("/environments/a")).json["idle"] is None
