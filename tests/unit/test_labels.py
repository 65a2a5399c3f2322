"""Labels are the database, and others can write into it."""

from __future__ import annotations

import json

import pytest

from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.labels import NAME, SPEC, EnvironmentLabels
from jupyter_dlenv.models import EnvironmentSpec, Mount


@pytest.fixture
def labels():
    return EnvironmentLabels(
        id="0123456789",
        owner="alice",
        spec=EnvironmentSpec(
            name="a", image="x", mounts=(Mount.parse("/a:/b"),), labels={"team": "nlp"}
        ),
        launcher="host/1/2/3",
        runtime_dir="/run/user/1000/dlenv/0123456789/s",
        home="/home/dlenv",
        python="/usr/bin/python3",
    )


def test_what_is_written_is_read_back(labels):
    assert labels == EnvironmentLabels.from_labels(labels.to_labels())


def test_the_users_own_labels_are_on_the_container_too(labels):
    assert "nlp" == labels.to_labels()["team"]


@pytest.mark.parametrize(
    "change",
    [
        {SPEC: "{"},
        {SPEC: "[]"},
        {SPEC: json.dumps({"name": "a", "image": "x", "privileged": True})},
        {NAME: "b"},
    ],
)
def test_labels_that_were_tampered_with_are_refused(labels, change):
    with pytest.raises(InvalidSpecError):
        EnvironmentLabels.from_labels({**labels.to_labels(), **change})


def test_a_container_without_our_labels_is_not_ours():
    with pytest.raises(InvalidSpecError):
        EnvironmentLabels.from_labels({})
