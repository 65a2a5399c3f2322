"""A Dockerfile of the user's, built by a launch: its output is for its user, not for the bus."""

from __future__ import annotations

import docker
import pytest

from jupyter_dlenv.server.events import PROGRESS

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_engine_url):
    return docker_engine_url


@pytest.fixture
def image():
    return "my-image"


@pytest.fixture
def configuration(configuration):
    # An SSH server would be added in a second image, on top of those that are built here.
    return {**configuration, "ssh": False}


@pytest.fixture
def dockerfile(jp_root_dir, images, docker_engine_url):
    """Return a function that writes a Dockerfile below the server's root directory.

    Tests ask for it first: its images can only go when the environments have gone.
    """
    directory = jp_root_dir / "project"
    directory.mkdir()

    def write(step: str) -> None:
        base = images.ensure("kernel")
        text = f"FROM {base}\nENV TOKEN=hunter2 DIRECTORY={jp_root_dir}\nRUN {step}\n"
        (directory / "Dockerfile").write_text(text)

    yield write
    client = docker.DockerClient(base_url=docker_engine_url, timeout=30)
    for built in client.images.list("dlenv/build:built"):
        client.images.remove(built.id, force=True)
    client.close()


async def test_a_build_can_be_read_while_events_tell_only_that_it_goes_on(
    dockerfile, api, launched, event_log
):
    dockerfile("echo the output of a step")

    job = await launched("built", build_dir="project")
    log = (await api.get(f"/jobs/{job['id']}/log")).body.decode()

    assert "ready" == job["phase"], job["error"]
    assert "the output of a step" in log
    assert "hunter2" not in str(event_log.received)
    assert {"pulling", "ready"} <= {event["phase"] for event in event_log.of(PROGRESS)}


async def test_a_step_that_fails_is_the_reason_and_is_built_again_when_it_was_mended(
    dockerfile, api, launched
):
    dockerfile("echo so far so good; exit 3")

    job = await launched("built", build_dir="project")
    dockerfile("true")
    # As a page asks for the same again.
    body = {name: job[name] for name in ("build_dir", "project", "authorize", "wait_for_gpus")}
    body = {name: value for name, value in {**job["spec"], **body}.items() if value}
    again = await api.ended((await api.post("/environments", body)).json["id"])

    assert ("failed", "build-failed") == (job["phase"], job["error"]["code"])
    assert "so far so good" in job["error"]["detail"]
    assert ("ready", None) == (again["phase"], again["error"])
