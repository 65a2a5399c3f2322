"""The recommended images, what they are called, and the order of tags."""

from __future__ import annotations

import re

import pytest

from jupyter_dlenv.images.catalogue import Catalogue
from jupyter_dlenv.images.reference import ImageReference
from jupyter_dlenv.images.tags import newest_first, variant, version

CATALOGUE = Catalogue.load()


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.name)
def test_each_entry_is_complete_and_its_repository_can_be_asked_for(entry):
    reference = ImageReference.parse(f"{CATALOGUE.repository(entry)}:1")

    assert CATALOGUE.entry_of(reference) == entry
    assert entry.title
    assert entry.purpose
    assert re.compile(entry.tags)


def test_names_are_unique():
    assert len({e.name for e in CATALOGUE.entries}) == len(CATALOGUE.entries)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("pytorch", "nvcr.io/nvidia/pytorch"),
        ("PyTorch:25.10-py3", "nvcr.io/nvidia/pytorch:25.10-py3"),
        ("python:3.12", "python:3.12"),
        ("pytorch/pytorch:2.9", "pytorch/pytorch:2.9"),
        ("localhost:5000/pytorch:1", "localhost:5000/pytorch:1"),
    ],
)
def test_a_friendly_name_means_a_repository_and_a_reference_stays(typed, meant):
    assert CATALOGUE.expand(typed) == meant


def test_the_registry_can_be_a_mirror():
    mirrored = Catalogue.load(registry="127.0.0.1:5000")

    assert mirrored.expand("jax:25.10-py3") == "127.0.0.1:5000/nvidia/jax:25.10-py3"
    assert mirrored.licence_of(ImageReference.parse("127.0.0.1:5000/nvidia/jax:25.10-py3"))


@pytest.mark.parametrize(
    ("name", "offered", "left_out"),
    [
        ("pytorch", "25.10-py3", ["25.10-py3-igpu", "25.10-py3-min", "latest", "26.03.01-py3"]),
        ("tensorflow", "25.02-tf2-py3", ["23.03-tf1-py3", "25.02-tf2-py3-igpu"]),
        ("jax", "25.10-maxtext-py3", ["nightly-2025-10-01"]),
        ("rapids", "25.12-cuda13-py3.13", ["25.12a-cuda13-py3.13"]),
        ("tritonserver", "25.10-trtllm-python-py3", ["25.10-py3-sdk", "25.10-py3-min"]),
        ("cuda", "13.0.2-cudnn-devel-ubuntu24.04", ["13.0.2-devel-ubi9"]),
        ("nemo", "25.09", ["dev", "25.09.rc1"]),
    ],
)
def test_each_entry_offers_its_own_kind_of_tags(name, offered, left_out):
    pattern = CATALOGUE.find(name).tags

    assert newest_first([*left_out, offered], pattern=pattern) == (offered,)


def test_tags_are_sorted_by_version_not_by_letter():
    tags = ["9.04-py3", "25.02-py3", "25.10-py3", "latest", "24.12-py3", "sha256-0a1b.sig"]

    assert newest_first(tags) == ("25.10-py3", "25.02-py3", "24.12-py3", "9.04-py3")


def test_tags_that_nobody_chooses_are_hidden():
    hidden = ["25.10-py3-igpu", "25.10-py3-min", "25.10-py3-sdk", "nightly", "sha256-ab.att"]

    assert newest_first([*hidden, "minimal-3", "mini"]) == ("mini", "minimal-3")


def test_odd_tags_do_not_confuse():
    assert version("") == version("main") == ()
    assert newest_first(["main", "1" * 128, "v2.1"])[-1] == "main"


def test_a_variant_is_a_tag_without_its_version():
    assert variant("25.10-tf2-py3") == variant("24.01-tf2-py3")
    assert variant("25.10-py3") != variant("25.10-maxtext-py3")
    assert variant("26.03-cuda13.2-devel-ubuntu24.04") == variant(
        "25.06-cuda12.9-devel-ubuntu24.04"
    )


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("25.10-py3", "NVIDIA Deep Learning Container License"),
        ("26.03-py3", "NVIDIA Software License Agreement"),
        ("main", "NVIDIA Deep Learning Container License"),
    ],
)
def test_the_terms_depend_on_the_version(tag, name):
    licence = CATALOGUE.licence_of(ImageReference.parse(f"nvcr.io/nvidia/pytorch:{tag}"))

    assert licence.name.startswith(name)
    assert licence.url.startswith("https://")


def test_the_terms_of_strangers_are_not_ours_to_tell():
    assert CATALOGUE.licence_of(ImageReference.parse("python:3.12")) is None
