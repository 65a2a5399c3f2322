"""What a launch looks like on a terminal of 80 columns, and in a log."""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone

import pytest
from rich.console import Console

from jupyter_dlenv.cli.display import LineDisplay, LiveDisplay, titles
from jupyter_dlenv.cli.text import clean, since, size, took
from jupyter_dlenv.cli.transfer import LAYERS_SHOWN, LOG_LINES_SHOWN, Transfer
from jupyter_dlenv.models import LayerProgress, Phase, Progress

MB = 1000**2


class Clock:
    """A clock that the test turns."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def transfer():
    return Transfer()


def layer(number, state="Downloading", current=0, total=100 * MB):
    return LayerProgress(id=f"{number:012x}", state=state, current=current, total=total)


def pull(*layers, **changes):
    return Progress(
        phase=Phase.PULLING,
        current=sum(x.current for x in layers),
        total=sum(x.total for x in layers),
        layers=layers,
        **changes,
    )


def draw(renderable, width=80):
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    console.print(renderable)
    return console.file.getvalue().splitlines()


def test_each_layer_has_a_line_and_their_total_another(transfer):
    transfer.add(pull(layer(1, current=25 * MB), layer(2, "Extracting", 100 * MB)))

    lines = draw(transfer)

    assert re.search(r"000000000001 Downloading .*25\.0 MB / 100\.0 MB", lines[0])
    assert re.search(r"000000000002 Extracting .*100\.0 MB / 100\.0 MB", lines[1])
    assert re.search(r"total .*125\.0 MB / 200\.0 MB", lines[2])


def test_more_layers_than_fit_are_summed_up(transfer):
    layers = [layer(i) for i in range(10)]
    layers += [layer(i, "Pull complete", 100 * MB) for i in range(10, 13)]
    layers += [layer(i, "Waiting", 0, 0) for i in range(13, 17)]

    transfer.add(pull(*layers))

    lines = draw(transfer)
    assert sum("Downloading" in x for x in lines) == LAYERS_SHOWN
    assert "  9 more: 3 done, 4 waiting, 2 under way" in [x.rstrip() for x in lines]


def test_speed_and_time_left_are_shown_and_why_nothing_comes(transfer):
    transfer.add(pull(layer(1), speed=4 * MB, seconds_left=5.2, message="It is silent"))

    text = "\n".join(draw(transfer))
    assert "4.0 MB/s  0:05 left" in text
    assert "It is silent" in text


def test_nothing_is_claimed_before_it_was_measured(transfer):
    transfer.add(pull(layer(1, current=4 * MB)))

    assert "left" not in "\n".join(draw(transfer))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_fit_the_terminal(transfer, width):
    transfer.add(pull(*[layer(i, "Verifying Checksum and more", i) for i in range(20)]))
    transfer.add(Progress(phase=Phase.PREPARING, message="RUN " + "x" * 300, log="y" * 300))

    assert max(map(len, draw(transfer, width))) <= width


def test_a_build_shows_its_step_and_the_end_of_its_log(transfer):
    for number in range(20):
        transfer.add(
            Progress(
                phase=Phase.PREPARING,
                message="Step 2/4 : RUN pip install ipykernel",
                current=2,
                total=4,
                log=f"line {number}\n",
            )
        )

    lines = [x.rstrip() for x in draw(transfer)]

    assert re.search(r"Step 2/4 : RUN pip install ipykernel .* 2/4$", lines[0])
    assert lines[1:] == [f"  line {i}" for i in range(20 - LOG_LINES_SHOWN, 20)]


def test_a_log_may_come_in_pieces_and_overwrite_its_line(transfer):
    for piece in ("Coll", "ecting\n10%\r5", "0%\r100%", "\x1b[32m done\x1b[0m"):
        transfer.add(Progress(phase=Phase.PREPARING, log=piece))

    assert [x.rstrip() for x in draw(transfer)] == ["  Collecting", "  100% done"]


def test_a_log_file_gets_one_line_for_each_phase():
    said = []
    display = LineDisplay(titles("a/b:1", built=False), said.append)

    with display:
        for phase in (Phase.QUEUED, Phase.PULLING, Phase.PULLING, Phase.PREPARING):
            display.report(Progress(phase=phase, message="different each time"))
        display.interrupted()

    assert said == [
        "Checking the request …",
        "Getting the image a/b:1 …",
        "Preparing the image …",
        "Cancelling: removing what the launch has made …",
    ]


def test_what_speaks_against_an_image_is_said_once():
    said = []
    display = LineDisplay(titles("a/b:1", built=False), said.append)

    for _ in range(3):
        display.report(Progress(phase=Phase.PULLING, warnings=("Too new.", "Take 25.02.")))

    assert said[1:] == ["Warning: Too new.", "Warning: Take 25.02."]


def test_a_terminal_keeps_a_line_for_each_phase_that_is_done(clock):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)

    def launch():
        with LiveDisplay(titles("a/b:1", built=False), console, now=clock) as display:
            display.report(Progress(phase=Phase.PULLING))
            clock.seconds = 65
            display.report(Progress(phase=Phase.STARTING))
            clock.seconds = 66
            raise RuntimeError

    with pytest.raises(RuntimeError):
        launch()

    text = clean(console.file.getvalue())
    assert re.search(r"✓ Getting the image a/b:1 +1:05", text)
    assert re.search(r"✗ Starting the environment +1\.0 s", text)


def test_a_terminal_says_that_a_launch_is_being_cancelled(clock):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)

    with LiveDisplay(titles("a", built=False), console, now=clock) as display:
        display.report(Progress(phase=Phase.STARTING))
        display.interrupted()

    assert "removing what the launch has made" in console.file.getvalue()


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (20.3e9, "20.3 GB")]
)
def test_sizes_are_short(count, expected):
    assert expected == size(count)


@pytest.mark.parametrize(("seconds", "expected"), [(4.21, "4.2 s"), (3723, "1:02:03")])
def test_durations_are_short(seconds, expected):
    assert expected == took(seconds)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-10T11:59:30Z", "30 s"),
        ("2026-01-10T11:57:00.123456789Z", "2 min"),
        ("2026-01-10T13:00:00+02:00", "1 h"),
        ("2026-01-07T12:00:00", "3 days"),
        ("2027-01-01T00:00:00Z", "0 s"),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_moments_are_told_from_now(moment, expected):
    now = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
    assert expected == since(moment, now=now)
