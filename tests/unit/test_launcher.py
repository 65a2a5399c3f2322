"""A launch is abandoned when the process behind it is gone, and not before."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone

from jupyter_dlenv.launcher import is_alive, own_identity

NOW = datetime.now(timezone.utc)


def test_this_process_is_alive():
    assert is_alive(own_identity(), created="")


def test_a_process_that_ended_is_not():
    code = "from jupyter_dlenv.launcher import own_identity; print(own_identity())"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()

    assert not is_alive(ended, created=NOW.isoformat())


def test_another_process_with_the_same_number_is_not():
    machine, started = own_identity().rsplit("/", 1)

    assert not is_alive(f"{machine}/{int(started) - 1000}", created=NOW.isoformat())


def test_a_launch_of_another_machine_is_believed_for_an_hour():
    elsewhere = "another-host/4026531836/42/1700000000"

    assert is_alive(elsewhere, created=NOW.isoformat())
    assert not is_alive(elsewhere, created=(NOW - timedelta(hours=2)).isoformat())


def test_nonsense_is_not_alive():
    assert not is_alive("", created="")
    assert not is_alive("x/y/z", created="yesterday")
