"""Jobs: launches that outlive requests, are cancelled cleanly, and are forgotten in time."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_dlenv.errors import BuildFailedError, JobNotFoundError, NameTakenError
from jupyter_dlenv.models import Environment, EnvironmentSpec, Phase, Progress, Status
from jupyter_dlenv.server.jobs import BuildLog, Jobs

from .client import until


class Launches:
    """Stands for ``Environments``: a launch reports, fails or ends when the test says so."""

    def __init__(self) -> None:
        self.report = None
        self.outcome = asyncio.get_running_loop().create_future()
        self.may_clean_up = asyncio.Event()
        self.cleaned_up = False

    async def launch(self, spec, *, report, build_dir, line, authorize):
        self.report = report
        report(Progress(phase=Phase.PULLING, message=spec.image))
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            await self.may_clean_up.wait()
            self.cleaned_up = True
            raise

    def succeed(self, spec) -> None:
        self.outcome.set_result(
            Environment(
                id="1", spec=spec, status=Status.RUNNING, container_id="c", image_id="i",
                owner="o", engine="e",
            )
        )  # fmt: skip


SPEC = EnvironmentSpec(name="a", image="python")


def jobs_of(launches, changed=lambda _: None, memory=3600.0) -> Jobs:
    return Jobs(lambda: launches, changed=changed, memory=memory)


async def test_a_job_that_succeeds_is_ready_and_has_its_environment():
    launches, phases = Launches(), []
    jobs = jobs_of(launches, lambda job: phases.append(job.phase))

    job = jobs.launch(SPEC)
    await until(lambda: launches.report)
    launches.succeed(SPEC)
    await until(lambda: job.ended)

    assert [Phase.PULLING, Phase.READY] == phases
    assert "a" == job.to_json()["environment"]["name"]


async def test_a_job_that_fails_keeps_the_reason():
    launches = Launches()
    jobs = jobs_of(launches)

    job = jobs.launch(SPEC)
    launches.outcome.set_exception(BuildFailedError("A step failed.", detail="no such file"))
    await until(lambda: job.ended)

    assert Phase.FAILED is job.phase
    assert ("build-failed", "no such file") == (job.error.code, job.error.detail)


async def test_a_failure_that_nobody_thought_of_is_logged_once_and_not_shown(caplog):
    launches = Launches()
    jobs = jobs_of(launches)

    job = jobs.launch(SPEC)
    launches.outcome.set_exception(RuntimeError("secret"))
    await until(lambda: job.ended)

    assert "internal-error" == job.error.code
    assert "secret" not in str(job.to_json())
    assert ["RuntimeError"] == [r.exc_info[0].__name__ for r in caplog.records if r.exc_info]


async def test_a_name_that_is_being_launched_is_taken_and_free_again_afterwards():
    launches = Launches()
    jobs = jobs_of(launches)
    job = jobs.launch(SPEC)

    with pytest.raises(NameTakenError):
        jobs.launch(SPEC)
    launches.succeed(SPEC)
    await until(lambda: job.ended)

    await until(lambda: jobs.launch(SPEC).id)


async def test_a_cancelled_job_ends_when_everything_is_removed():
    launches = Launches()
    jobs = jobs_of(launches)
    job = jobs.launch(SPEC)
    await until(lambda: launches.report)

    jobs.cancel(job.id)
    again = jobs.cancel(job.id)
    while_cleaning = job.phase
    launches.may_clean_up.set()
    await until(lambda: job.ended)

    assert again.cancelling
    assert Phase.PULLING is while_cleaning
    assert (Phase.CANCELLED, "launch-cancelled") == (job.phase, job.error.code)
    assert launches.cleaned_up


async def test_a_job_can_be_cancelled_before_its_first_step():
    launches = Launches()
    jobs = jobs_of(launches)

    job = jobs.launch(SPEC)
    jobs.cancel(job.id)
    await until(lambda: job.ended)

    assert Phase.CANCELLED is job.phase
    assert launches.report is None


async def test_cancelling_what_has_ended_changes_nothing():
    launches = Launches()
    jobs = jobs_of(launches)
    job = jobs.launch(SPEC)
    launches.succeed(SPEC)
    await until(lambda: job.ended)

    jobs.cancel(job.id)

    assert (Phase.READY, False) == (job.phase, job.cancelling)


async def test_closing_waits_until_launches_have_cleaned_up():
    launches = Launches()
    jobs = jobs_of(launches)
    job = jobs.launch(SPEC)
    await until(lambda: launches.report)

    closing = asyncio.ensure_future(jobs.aclose())
    launches.may_clean_up.set()
    await closing

    assert launches.cleaned_up
    assert Phase.CANCELLED is job.phase


async def test_ended_jobs_are_forgotten_after_their_time():
    launches = Launches()
    jobs = jobs_of(launches, memory=0)

    job = jobs.launch(SPEC)
    launches.succeed(SPEC)
    await until(lambda: job.ended)

    assert () == jobs.list()
    with pytest.raises(JobNotFoundError):
        jobs.get(job.id)


async def test_at_most_200_ended_jobs_are_remembered():
    launches = Launches()
    launches.succeed(SPEC)
    jobs = jobs_of(launches)

    for number in range(210):
        jobs.launch(EnvironmentSpec(name=f"e{number}", image="python"))
    await until(lambda: all(job.ended for job in jobs.list()))

    assert [f"e{n}" for n in range(10, 210)] == [job.spec.name for job in jobs.list()]


def test_a_build_log_joins_pieces_and_keeps_the_last_lines():
    log = BuildLog()

    for number in range(2500):
        log.append(f"step {number}")
        log.append("\n")
    log.append("10 %\r20 %\r")

    lines = str(log).split("\n")
    assert ("step 500", "step 2499", "20 %", 2001) == (lines[0], lines[-2], lines[-1], len(lines))


def test_a_build_log_is_bounded_also_without_any_line_end():
    log = BuildLog()

    for _ in range(100):
        log.append("x" * 10_000)

    assert len(str(log)) <= 4096
