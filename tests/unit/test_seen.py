"""What a page missed: by what it was given last, or, if it is new, by what nobody was given."""

from __future__ import annotations

import json

import pytest

from jupyter_dlenv.kernels.record import Message, Record
from jupyter_dlenv.kernels.seen import Seen, forget, seen_by_all, unseen


def message(identifier, channel="iopub", to=b"topic"):
    header = json.dumps({"msg_id": identifier}).encode()
    return Message(channel, (to, b"<IDS|MSG>", b"signature", header, b"{}", b"{}", b"{}"))


RECORD = Record(
    state="idle",
    dropped=0,
    messages=(
        message("i1"),
        message("s1", "shell", b"me"),
        message("i2"),
        message("s2", "shell", b"me"),
        message("i3"),
    ),
)


@pytest.mark.parametrize(
    ("last", "others", "expected"),
    [
        pytest.param({"iopub": "i2", "shell": "s1"}, [], [3, 4], id="goes on where it was"),
        pytest.param({"iopub": "i3", "shell": "s2"}, [], [], id="missed nothing"),
        pytest.param({"iopub": "i1"}, [], [1, 2, 3, 4], id="no reply yet"),
        pytest.param({"iopub": "older"}, [], [0, 1, 2, 3, 4], id="what it had is gone"),
        pytest.param({}, [{"iopub": "i1"}, {"iopub": "i2"}], [1, 3, 4], id="a new page"),
        pytest.param({}, [], [0, 1, 2, 3, 4], id="nobody was ever there"),
    ],
)
def test_a_page_gets_what_it_has_not_had(last, others, expected):
    assert expected == unseen(RECORD, last, others)


def test_a_reply_is_for_whoever_asked():
    assert RECORD.messages[1].is_for(b"me")
    assert not RECORD.messages[1].is_for(b"you")
    assert RECORD.messages[0].is_for(b"you")


def test_what_was_given_is_known_to_the_next_server(tmp_path):
    seen = Seen(tmp_path, "k", "page")
    seen.note("iopub", "i1")
    seen.note("iopub", "i2")
    seen.note("shell", "s" * 500)
    # Not closed: nobody closes it who is killed.

    again = Seen(tmp_path, "k", "page")

    assert {"iopub": "i2", "shell": "s" * 128} == again.last()
    assert {} == Seen(tmp_path, "k", "another").last()
    assert [again.last()] == seen_by_all(tmp_path, "k")
    assert 0o600 == next((tmp_path / "seen").iterdir()).stat().st_mode & 0o777


def test_nothing_is_kept_of_a_kernel_that_is_gone_and_little_of_many_pages(tmp_path):
    for number in range(40):
        Seen(tmp_path, "k", str(number)).close()
    assert len(list((tmp_path / "seen").iterdir())) <= 33

    forget(tmp_path, "k")

    assert [] == list((tmp_path / "seen").iterdir())
