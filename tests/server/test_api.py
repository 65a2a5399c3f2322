"""The life of an environment over REST, and what is answered when something is wrong."""

from __future__ import annotations

import asyncio
import json

import pytest

from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.server.base import LARGEST_BODY

from .client import until


async def test_a_launch_answers_at_once_and_the_job_leads_to_the_environment(
    api, image, jp_base_url
):
    answer = await api.post("/environments", {"name": "a", "image": image})
    job = await api.ended(answer.json["id"])

    assert 202 == answer.code
    assert f"{jp_base_url}dlenv/api/jobs/{job['id']}" == answer.headers["Location"]
    assert ("ready", None) == (job["phase"], job["error"])
    (listed,) = (await api.get("/environments")).json["environments"]
    shown = (await api.get("/environments/a")).json
    assert "start" == listed.pop("idle")["last_use"] == shown.pop("idle")["last_use"]
    assert job["environment"] == shown == listed
    assert [job] == (await api.get("/jobs")).json["jobs"]


async def test_the_directory_of_the_server_is_mounted_at_the_same_path(launched, jp_root_dir):
    job = await launched()

    path = str(jp_root_dir)
    assert [f"{path}:{path}"] == job["environment"]["mounts"]
    assert path == job["environment"]["spec"]["workdir"]


async def test_an_environment_is_stopped_started_restarted_and_removed(api, launched):
    await launched("a")

    answers = [
        (await api.post(f"/environments/a/{verb}")).json["status"]
        for verb in ("stop", "start", "restart")
    ]
    removed = await api.delete("/environments/a")

    assert ["stopped", "running", "running"] == answers
    assert (204, b"") == (removed.code, removed.body)
    assert [] == (await api.get("/environments")).json["environments"]


async def test_of_two_requests_for_one_name_one_is_refused(api, image):
    body = {"name": "a", "image": image}

    answers = await asyncio.gather(api.post("/environments", body), api.post("/environments", body))

    assert [202, 409] == sorted(answer.code for answer in answers)
    (refused,) = [answer for answer in answers if answer.code == 409]
    (accepted,) = [answer for answer in answers if answer.code == 202]
    assert "name-taken" == refused.error["code"]
    assert "ready" == (await api.ended(accepted.json["id"]))["phase"]


async def test_the_launch_of_a_name_that_exists_fails_and_says_so(launched):
    await launched("a")

    job = await launched("a")

    assert ("failed", "name-taken") == (job["phase"], job["error"]["code"])


async def test_a_cancelled_launch_leaves_nothing(api, image):
    accepted = await api.post("/environments", {"name": "a", "image": image})

    answer = await api.delete(f"/jobs/{accepted.json['id']}")
    job = await api.ended(accepted.json["id"])

    assert (202, True) == (answer.code, answer.json["cancelling"])
    assert ("cancelled", "launch-cancelled") == (job["phase"], job["error"]["code"])
    assert [] == (await api.get("/environments")).json["environments"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("not json", "invalid-spec"),
        ("[" * 100_000, "invalid-spec"),
        ("\xff", "invalid-spec"),
        ("[]", "invalid-spec"),
        ("", "invalid-spec"),
        ('{"name": "a"}', "invalid-spec"),
        ('{"name": "A B", "image": "python"}', "invalid-name"),
        ('{"name": "a", "image": "python", "privileged": true}', "invalid-spec"),
        ('{"name": "a", "image": "python", "gpus": "two"}', "invalid-spec"),
        ('{"name": "a", "image": "python", "build_dir": 1}', "invalid-spec"),
        ('{"name": "a", "image": "python", "build_dir": "no-such-directory"}', "invalid-spec"),
        ('{"name": "a", "image": "python", "mounts": ["../x:/data"]}', "invalid-spec"),
    ],
)
async def test_a_request_that_cannot_be_understood_is_refused_before_there_is_a_job(
    api, body, code
):
    answer = await api.post("/environments", body.encode("latin-1"))

    assert (400, code) == (answer.code, answer.error["code"])
    assert answer.error["hint"]
    assert [] == (await api.get("/jobs")).json["jobs"]


async def test_a_request_that_is_too_long_is_refused(api, image):
    body = json.dumps({"name": "a", "image": image, "env": {"A": "x" * LARGEST_BODY}})

    answer = await api.post("/environments", body)

    assert (413, "request-too-large") == (answer.code, answer.error["code"])


async def test_the_longest_request_holds_nothing_up(api, image):
    mounts = [f"/m{number}:/t{number}" for number in range(50_000)]
    body = {"name": "a", "image": image, "mounts": [*mounts, mounts[0]]}

    answer = await api.post("/environments", body)

    assert (400, "invalid-spec") == (answer.code, answer.error["code"])


@pytest.mark.parametrize(
    ("verb", "path", "status", "code"),
    [
        ("GET", "/environments/nothing", 404, "environment-not-found"),
        ("DELETE", "/environments/nothing", 404, "environment-not-found"),
        ("GET", "/environments/nothing/logs", 404, "environment-not-found"),
        ("GET", "/environments/..%2Fetc", 400, "invalid-name"),
        ("GET", "/jobs/nothing", 404, "job-not-found"),
        ("DELETE", "/jobs/nothing", 404, "job-not-found"),
        ("GET", "/jobs/nothing/log", 404, "job-not-found"),
    ],
)
async def test_what_is_not_there_is_answered_as_such(api, verb, path, status, code):
    answer = await api.ask(verb, path)

    assert (status, code) == (answer.code, answer.error["code"])


async def test_a_name_that_is_nearly_right_is_suggested(api, launched):
    await launched("training")

    answer = await api.get("/environments/trainig")

    assert "training" in answer.error["hint"]


async def test_an_image_that_does_not_exist_fails_the_job(api):
    accepted = await api.post("/environments", {"name": "a", "image": "no-such-image"})

    job = await api.ended(accepted.json["id"])

    assert ("failed", "image-not-found") == (job["phase"], job["error"]["code"])
    assert 404 == (await api.get("/environments/a")).code


async def test_the_engine_and_its_images_are_described(api):
    engine = (await api.get("/engine")).json
    images = (await api.get("/images")).json["images"]

    assert ("process", "process", False) == (engine["name"], engine["kind"], engine["isolated"])
    assert [] == images


async def test_a_build_that_never_was_has_an_empty_log(api, launched):
    job = await launched()

    answer = await api.get(f"/jobs/{job['id']}/log")

    assert (200, b"") == (answer.code, answer.body)


@pytest.mark.slow
async def test_twenty_launches_at_once_are_all_ready_and_hold_nothing_up(api, image, event_log):
    """Worth its time: the promise that many people may press Launch at once.

    That the event loop never stands still is inspected around every async test.
    """
    names = [f"e{number:02}" for number in range(20)]

    accepted = await asyncio.gather(
        *(api.post("/environments", {"name": name, "image": image}) for name in names)
    )
    jobs = await asyncio.gather(*(api.ended(answer.json["id"]) for answer in accepted))

    assert ["ready"] * 20 == [job["phase"] for job in jobs], [job["error"] for job in jobs]
    listed = (await api.get("/environments")).json["environments"]
    assert names == [environment["name"] for environment in listed]


async def test_a_server_that_stops_cancels_its_launches_and_leaves_nothing(
    api, dlenv, image, jp_serverapp
):
    accepted = await api.post("/environments", {"name": "a", "image": image})
    job = dlenv.jobs.get(accepted.json["id"])

    await jp_serverapp.cleanup_extensions()

    assert "cancelled" == job.phase.value
    other = dlenv.configuration.open()
    assert () == await other.list()
    await other.aclose()


async def test_a_running_launch_counts_as_activity(dlenv, image):
    job = dlenv.jobs.launch(EnvironmentSpec(name="a", image=image))

    busy = dlenv.current_activity()
    await until(lambda: job.ended)

    assert [job.id] == [activity["id"] for activity in busy]
    assert dlenv.current_activity() is None


async def test_an_environment_is_recreated_in_a_new_container(api, launched):
    before = (await launched("a"))["environment"]

    answer = await api.post("/environments/a/recreate")

    assert 200 == answer.code
    after = answer.json
    assert ("running", before["kernel_name"]) == (after["status"], after["kernel_name"])
    assert before["container_id"] != after["container_id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"gpus": "two"}', 400, "invalid-spec"),
        ('{"shared": 1}', 400, "invalid-spec"),
        ('{"image": "python"}', 400, "invalid-spec"),
        # There is no driver here.
        ('{"gpus": 1}', 409, "no-free-gpu"),
    ],
)
async def test_a_recreation_that_cannot_be_changes_nothing(api, launched, body, status, code):
    before = (await launched("a"))["environment"]

    answer = await api.post("/environments/a/recreate", body.encode())

    assert (status, code) == (answer.code, answer.error["code"])
    after = (await api.get("/environments/a")).json
    assert (before["container_id"], "running") == (after["container_id"], after["status"])


async def test_nobody_waits_in_line_where_there_are_no_gpus(launched):
    job = await launched("a", gpus=1, wait_for_gpus=True)

    assert ("failed", "no-free-gpu") == (job["phase"], job["error"]["code"])


async def test_failures_are_said_in_the_language_that_is_asked_for(api):
    english = await api.get("/environments/nope")
    chinese = await api.get("/environments/nope", headers={"Accept-Language": "zh-CN"})

    assert english.error["message"] == "There is no environment 'nope'."
    assert english.headers["Content-Language"] == "en"
    assert chinese.error == english.error | {
        "message": "没有名为 'nope' 的环境。",
        "hint": "请查看 `jupyter dlenv list`。",
    }
    assert chinese.headers["Content-Language"] == "zh-CN"
