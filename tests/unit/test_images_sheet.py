"""What is said of an image before it is fetched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jupyter_dlenv.engines.base import ImageFacts
from jupyter_dlenv.images.fit import Host
from jupyter_dlenv.images.reference import ImageReference
from jupyter_dlenv.images.remote import Blob, Manifest, RemoteImage
from jupyter_dlenv.images.sheet import write_sheet

GB = 1000**3
REFERENCE = ImageReference.parse("nvcr.io/nvidia/pytorch:25.10-py3")


def blob(number, size=GB):
    return Blob(digest=f"sha256:{number:064}", size=size)


REMOTE = RemoteImage(
    reference=REFERENCE,
    manifest=Manifest(digest="sha256:m", config=blob(0, 1000), layers=(blob(1), blob(2), blob(3))),
    architecture="amd64",
    diff_ids=("a", "b", "c"),
)


def sheet(**changes):
    given = {
        "local": None,
        "remote": REMOTE,
        "chains": (),
        "host": Host(architecture="x86_64"),
        "free_disk": 100 * GB,
    }
    return write_sheet(REFERENCE, **{**given, **changes})


@pytest.mark.parametrize(
    ("chains", "layers"),
    [
        ((), 3),
        ((("a", "b"), ("a",), ("b", "c")), 1),
        # A layer is what it is only on top of those below it.
        ((("x", "b", "c"),), 3),
        ((("a", "b", "c", "d"),), 0),
    ],
)
def test_layers_are_shared_up_to_the_first_that_differs(chains, layers):
    found = sheet(chains=chains)

    assert len(found.missing) == layers
    assert found.download == 1000 + layers * GB
    assert found.whole == 1000 + 3 * GB


def test_a_layer_that_is_there_twice_is_fetched_once():
    manifest = replace(REMOTE.manifest, layers=(blob(1), blob(2), blob(1)))

    assert sheet(remote=replace(REMOTE, manifest=manifest)).download == 1000 + 2 * GB


def test_nothing_is_told_from_a_configuration_that_is_not_about_the_layers():
    remote = replace(REMOTE, diff_ids=("a", "b"))

    assert len(sheet(remote=remote, chains=(("a", "b"),)).missing) == 3


@pytest.mark.parametrize(
    ("free", "weights"),
    [(100 * GB, []), (5 * GB, ["warning"]), (2 * GB, ["error"]), (None, [])],
)
def test_what_does_not_fit_is_an_error_only_where_it_is_certain(free, weights):
    found = sheet(free_disk=free)

    assert [r.weight.value for r in found.remarks] == weights
    assert bool(found.disk_error) == (weights == ["error"])
    assert not found.wants_another_tag


@pytest.mark.parametrize(
    ("local", "outdated"),
    [
        (ImageFacts(id="sha256:x", digests=("nvcr.io/nvidia/pytorch@sha256:m",)), False),
        (ImageFacts(id=blob(0).digest), False),
        (ImageFacts(id="sha256:x", digests=("nvcr.io/nvidia/pytorch@sha256:old",)), True),
    ],
)
def test_what_the_tag_named_before_is_known_as_such(local, outdated):
    found = sheet(local=local)

    assert (found.here, found.outdated) == (True, outdated)
    assert found.download == (1000 + 3 * GB if outdated else 0)


def test_without_a_registry_what_is_here_is_known_and_the_rest_said_to_be_unknown():
    local = ImageFacts(id="1", architecture="arm64", env={"CUDA_DRIVER_VERSION": "580.95"})

    here = sheet(remote=None, local=local, problem="It is away.")
    nowhere = sheet(remote=None, problem="It is away.")

    assert (here.download, here.needs.driver) == (0, "580.95")
    assert [r.code for r in here.remarks] == ["architecture"]
    assert (nowhere.download, nowhere.needs_disk, nowhere.remarks) == (None, None, ())
    assert nowhere.to_json()["problem"] == "It is away."
