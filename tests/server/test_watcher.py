"""What happens to environments reaches open pages, whichever process caused it."""

from __future__ import annotations

import pytest

from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.server.events import ENVIRONMENT

from .client import until


@pytest.fixture
def elsewhere(started, jp_asyncio_loop):
    """Return the environments as another process has them, the command line for example."""
    environments = started.configuration.open()
    yield environments
    jp_asyncio_loop.run_until_complete(environments.aclose())


def actions(event_log) -> list[str]:
    return [event["action"] for event in event_log.of(ENVIRONMENT)]


async def test_what_another_process_does_is_announced_once(elsewhere, image, event_log):
    await elsewhere.launch(EnvironmentSpec(name="a", image=image))
    await until(lambda: actions(event_log) == ["launched"], what="launched")
    await elsewhere.stop("a")
    await until(lambda: actions(event_log)[-1] == "stopped", what="stopped")
    await elsewhere.start("a")
    await until(lambda: actions(event_log)[-1] == "started", what="started")
    await elsewhere.remove("a")
    await until(lambda: actions(event_log)[-1] == "removed", what="removed")

    assert ["launched", "stopped", "started", "removed"] == actions(event_log)


async def test_what_is_stopped_before_anybody_looks_is_announced_as_both(
    elsewhere, image, event_log
):
    # Of five, some fall between two looks, however they are timed.
    for name in "abcde":
        await elsewhere.launch(EnvironmentSpec(name=name, image=image))
        await elsewhere.stop(name)
    await until(lambda: actions(event_log).count("stopped") == 5, what="stopped", patience=10)

    assert 5 == actions(event_log).count("launched")


async def test_an_event_says_whose_environment_it_is_and_no_more(elsewhere, image, event_log):
    spec = EnvironmentSpec(name="a", image=image, env={"TOKEN": "hunter2"})

    environment = await elsewhere.launch(spec)
    await until(lambda: event_log.of(ENVIRONMENT))

    (event,) = event_log.of(ENVIRONMENT)
    assert (elsewhere.owner, "a", environment.id) == (event["owner"], event["name"], event["id"])
    assert "hunter2" not in str(event_log.received)


async def test_a_kernelspec_that_was_lost_comes_back_with_the_next_event(
    elsewhere, image, event_log, started
):
    await elsewhere.launch(EnvironmentSpec(name="a", image=image))
    await elsewhere.launch(EnvironmentSpec(name="b", image=image))
    elsewhere.kernelspecs.remove("a", engine="process")

    await elsewhere.stop("b")

    directory = elsewhere.kernelspecs.directory / "dlenv-a"
    await until(directory.is_dir, what="the kernelspec")


async def test_a_failed_launch_is_announced(api, event_log, started):
    await api.post("/environments", {"name": "a", "image": "no-such-image"})

    await until(lambda: actions(event_log) == ["failed"], what="failed")
