"""For how long nobody has used an environment is shown, and pages are warned before it stops."""

from __future__ import annotations

from jupyter_dlenv.server.events import ENVIRONMENT

from .client import until


async def test_pages_are_warned_before_an_environment_stops(api, launched, started, event_log):
    await launched("a", idle_stop=0.08)
    shown = (await api.get("/environments/a")).json["idle"]

    def told_of(action):
        return [event for event in event_log.of(ENVIRONMENT) if event["action"] == action]

    await until(lambda: told_of("stopped"), what="stopped")

    assert 0 <= shown["seconds"] <= shown["seconds"] + shown["stops_in"] <= 6
    told = told_of("idle")
    assert ["a"] == [event["name"] for event in told]
    assert 0 <= told[0]["stops_in"] <= 2
    assert 124 == (await api.get("/environments/a")).json["exit_code"]
    assert (await api.get("/environments/a")).json["idle"] is None
