"""What goes to the event bus: not too often, the last word of each phase, and no secrets."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from jupyter_events import EventLogger

from jupyter_dlenv.errors import MountMissingError
from jupyter_dlenv.models import EnvironmentSpec, LayerProgress, Phase, Progress
from jupyter_dlenv.server.events import ENVIRONMENT, EVENT_SCHEMAS, PROGRESS, Announcer
from jupyter_dlenv.server.jobs import Job

from .client import until

INTERVAL = 0.05


class Bus:
    """Jupyter's own event bus, and what was heard on it, with the time."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, dict]] = []
        self.logger = EventLogger()
        for schema in EVENT_SCHEMAS:
            self.logger.register_event_schema(schema)
        for schema_id in (PROGRESS, ENVIRONMENT):
            self.logger.add_listener(schema_id=schema_id, listener=self._listen)

    def emit(self, *, schema_id, data):
        self.heard.append((asyncio.get_running_loop().time(), schema_id, data))
        return self.logger.emit(schema_id=schema_id, data=data)

    async def _listen(self, logger, schema_id, data):
        return None

    def messages(self) -> list[str]:
        return [data["message"] for _, schema_id, data in self.heard if schema_id == PROGRESS]


def announcer_on(bus, interval=INTERVAL) -> Announcer:
    return Announcer(bus.emit, owner=lambda: "alice", interval=interval)


def job(**fields) -> Job:
    spec = EnvironmentSpec(name="a", image="python", env={"TOKEN": "hunter2"}, workdir="/hidden")
    return Job(replace(spec, **fields), build_dir="")


def report(announcer, job, **progress) -> None:
    job.progress = Progress(**{"phase": Phase.PULLING, **progress})
    announcer.job_changed(job)


async def test_a_flood_of_reports_becomes_few_events_and_the_last_one_is_among_them():
    bus, one = Bus(), job()
    announcer = announcer_on(bus)

    for number in range(500):
        report(announcer, one, message=f"{number}")
    await until(lambda: bus.messages()[-1] == "499")

    assert ["0", "499"] == bus.messages()
    times = [moment for moment, _, _ in bus.heard]
    assert times[1] - times[0] >= INTERVAL * 0.9


async def test_the_last_report_of_a_phase_is_sent_before_the_next_phase():
    bus, one = Bus(), job()
    announcer = announcer_on(bus, interval=60)

    for phase in (Phase.PULLING, Phase.CREATING, Phase.READY):
        for word in ("first", "between", "last"):
            report(announcer, one, phase=phase, message=f"{word} {phase.value}")

    assert [
        "first pulling",
        "last pulling",
        "first creating",
        "last creating",
        "first ready",
    ] == bus.messages()[:5]


async def test_jobs_do_not_slow_each_other_down():
    bus = Bus()
    announcer = announcer_on(bus, interval=60)

    for number in range(20):
        report(announcer, job(name=f"e{number}"))

    assert 20 == len(bus.heard)


async def test_a_failed_launch_is_announced_as_such_and_a_cancelled_one_is_not():
    bus = Bus()
    announcer = announcer_on(bus)

    report(announcer, job(name="bad"), phase=Phase.FAILED)
    report(announcer, job(name="gone"), phase=Phase.CANCELLED)

    told = [data for _, schema_id, data in bus.heard if schema_id == ENVIRONMENT]
    assert [{"action": "failed", "name": "bad", "id": "", "owner": "alice"}] == told


async def test_layers_are_summed_up():
    bus, one = Bus(), job()
    layers = (
        LayerProgress(id="1", state="Pull complete"),
        LayerProgress(id="2", state="Already exists"),
        LayerProgress(id="3", state="Downloading", current=1, total=9),
    )

    report(announcer_on(bus), one, layers=layers, current=1, total=9)

    data = bus.heard[0][2]
    assert (2, 3, 1, 9) == (
        data["layers_done"],
        data["layers_total"],
        data["current"],
        data["total"],
    )


async def test_no_event_carries_variables_paths_or_a_line_of_a_dockerfile():
    bus = Bus()
    building = job()
    building.build_dir = "/hidden"

    report(announcer_on(bus), building, message="Step 2/4 : ENV KEY=hunter2", log="hunter2")

    failed = job()
    failed.error = MountMissingError("There is no /hidden to mount.")
    report(announcer_on(bus), failed, phase=Phase.FAILED, message=str(failed.error))

    assert "hunter2" not in str(bus.heard)
    assert "hidden" not in str(bus.heard)


async def test_a_bus_that_fails_does_not_hurt_the_launch(caplog):
    def broken(**_):
        raise RuntimeError("a plug-in of somebody else")

    report(Announcer(broken, owner=lambda: "alice", interval=INTERVAL), job())

    assert "could not be sent" in caplog.text


async def test_closing_sends_what_was_held_back():
    bus, one = Bus(), job()
    announcer = announcer_on(bus, interval=60)
    report(announcer, one, message="first")
    report(announcer, one, message="last")

    announcer.close()

    assert ["first", "last"] == bus.messages()
