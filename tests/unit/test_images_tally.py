"""How far a pull is: what engines say added up, speed, time left, and silence explained."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_dlenv.engines.base import ImageFacts, TransferProgress
from jupyter_dlenv.engines.docker_progress import PullProgress
from jupyter_dlenv.errors import RegistryRefusedError, RegistryUnreachableError
from jupyter_dlenv.images.pace import Pace
from jupyter_dlenv.images.pulls import Pulls
from jupyter_dlenv.images.remote import Blob
from jupyter_dlenv.images.tally import Tally
from jupyter_dlenv.models import LayerProgress

MB = 1000**2
A, B = (Blob(digest=f"sha256:{c * 64}", size=100 * MB) for c in "ab")


def layers(*states):
    return TransferProgress(
        layers=tuple(
            LayerProgress(id=name * 12, state=state, current=current * MB, total=total * MB)
            for name, state, current, total in states
        )
    )


def test_the_total_is_right_before_the_engine_knows_it():
    tally = Tally((A, B), now=0)

    told = tally.add(layers(("a", "Downloading", 30, 100)), now=1)

    assert (told.current, told.total) == (30 * MB, 200 * MB)


def test_a_second_attempt_takes_nothing_back():
    tally = Tally((A, B), now=0)
    tally.add(layers(("a", "Pull complete", 100, 100), ("b", "Downloading", 60, 100)), now=1)

    again = tally.add(layers(("a", "Already exists", 0, 0), ("b", "Downloading", 10, 100)), now=2)

    assert (again.current, again.total) == (160 * MB, 200 * MB)


def test_of_a_layer_that_is_resumed_the_engine_counts_only_the_rest():
    progress = PullProgress()
    detail = {"current": 60, "total": 100}
    progress.add({"id": "a", "status": "Downloading", "progressDetail": detail})
    progress.add({"id": "a", "status": "Retrying in 5 seconds"})

    told = progress.add(
        {"id": "a", "status": "Downloading", "progressDetail": {"current": 5, "total": 40}}
    )

    assert (told.current, told.total) == (65, 100)


def test_silence_is_explained_and_ends_with_the_next_byte():
    tally = Tally((A,), now=0)
    tally.add(layers(("a", "Downloading", 30, 100)), now=1)

    silent = tally.report(now=31)
    moved = tally.add(layers(("a", "Downloading", 31, 100)), now=32)

    assert "No byte has come for 30 s" in silent.message
    assert silent.speed == 0
    assert silent.seconds_left is None
    assert moved.message == "0 of 1 layers are here"


def test_unpacking_is_not_silence():
    tally = Tally((A,), now=0)
    tally.add(layers(("a", "Extracting", 100, 100)), now=1)

    assert tally.report(now=300).message == "0 of 1 layers are here"


def test_what_the_engine_tries_again_is_said():
    tally = Tally((A,), now=0)

    told = tally.add(layers(("a", "Retrying in 4 seconds", 30, 100)), now=1)

    assert "tries again" in told.message


def test_speed_and_time_left_are_those_of_the_last_seconds():
    pace = Pace()
    for second in range(21):
        pace.add(second, second * 4 * MB, 100 * MB)

    assert pace.speed == pytest.approx(4 * MB)
    assert pace.seconds_left == pytest.approx(5, abs=0.1)


def test_the_time_left_does_not_jump_about():
    pace = Pace()
    count = 0
    before = None
    for step in range(200):
        # Bytes come in bursts: none in one second, many in the next.
        count += 8 * MB if step % 2 else 0
        pace.add(step, count, 10_000 * MB)
        if step > 20:
            assert before is None or abs(pace.seconds_left - (before - 1)) < 0.15 * before
            before = pace.seconds_left


class Engine:
    """Answers each attempt with the next of some outcomes, after a report."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.attempts = 0

    async def pull(self, image, report):
        self.attempts += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, tuple):
            report(layers(("a", "Downloading", outcome[0], 100)))
            outcome = outcome[1]
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None:
            await asyncio.Event().wait()
        return outcome


REFUSED = RegistryRefusedError("No.")
AWAY = RegistryUnreachableError("Away.")
HERE = ImageFacts(id="sha256:1")


@pytest.mark.parametrize(
    ("outcomes", "attempts", "ends"),
    [
        ((REFUSED, REFUSED, HERE), 3, None),
        ((REFUSED, REFUSED, REFUSED, HERE), 3, RegistryRefusedError),
        ((AWAY, AWAY, AWAY, HERE), 3, RegistryUnreachableError),
        # Bytes came: it is the right address, and worth more patience.
        (((10, AWAY), AWAY, (20, AWAY), HERE), 4, None),
    ],
)
async def test_what_is_worth_it_is_tried_again(outcomes, attempts, ends):
    engine = Engine(*outcomes)
    pull = Pulls(engine.pull).pull("a", lambda _: None)

    if ends:
        with pytest.raises(ends):
            await pull
    else:
        assert await pull == HERE
    assert engine.attempts == attempts


async def test_who_comes_after_the_last_one_has_left_begins_anew():
    engine = Engine(None, HERE)
    pulls = Pulls(engine.pull)
    first = asyncio.create_task(pulls.pull("a", lambda _: None))
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.wait([first])
    assert await pulls.pull("a", lambda _: None) == HERE

    assert first.cancelled()
    assert engine.attempts == 2
