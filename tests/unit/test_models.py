"""What a user may ask for, and what is refused before anything happens."""

from __future__ import annotations

import json

import pytest

from jupyter_dlenv.errors import InvalidNameError, InvalidSpecError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.models import EnvironmentSpec, Mount, PortMapping, Ulimit, parse_size


def spec(**changes):
    return EnvironmentSpec(**{"name": "a", "image": "python:3.12", **changes})


@pytest.mark.parametrize("name", ["a", "bert-finetune", "2x", "a_b", "x" * 40])
def test_a_name_of_lower_case_letters_digits_and_dashes_is_accepted(name):
    assert name == spec(name=name).name


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a.b", "a b", "x" * 41, "a/b", "a\n", "ä", "../a", "a;rm"]
)
def test_any_other_name_is_refused_with_a_hint(name):
    with pytest.raises(InvalidNameError) as caught:
        spec(name=name)

    assert "lower-case" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8g", 8 * 1024**3), ("512m", 512 * 1024**2), ("1.5 GiB", 1610612736), ("1024", 1024)],
)
def test_a_size_is_read_as_docker_reads_it(text, expected):
    assert expected == parse_size(text)


@pytest.mark.parametrize("text", ["", "8x", "-1g", "g", "1g;ls"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InvalidSpecError):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080:80", PortMapping(host_port=8080, container_port=80)),
        ("0.0.0.0:8080:80", PortMapping(host_ip="0.0.0.0", host_port=8080, container_port=80)),
        ("80", PortMapping(container_port=80)),
        ("0:80", PortMapping(container_port=80, host_port=0)),
    ],
)
def test_a_port_mapping_is_read_and_is_on_loopback_by_default(text, expected):
    assert expected == PortMapping.parse(text)


@pytest.mark.parametrize(
    "text", ["", "80:", ":80", "a:80", "1:2:3:4", "99999:80", "80:0", "1.2.3:80:80", "0.0.0.0.:1:2"]
)
def test_what_is_no_port_mapping_is_refused(text):
    with pytest.raises(InvalidSpecError):
        PortMapping.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "/data", "data:/data", "/data:data", "/a:/b:rx", "/a:/b:ro:z", "/a/../etc:/b", "/a:/etc"],
)
def test_what_is_no_mount_is_refused(text):
    with pytest.raises(InvalidSpecError):
        Mount.parse(text)


def test_a_mount_and_a_ulimit_are_written_as_they_are_read():
    assert "/a:/b:ro" == str(Mount.parse("/a:/b:ro"))
    assert "memlock=-1:-1" == str(Ulimit.parse("memlock=-1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"image": ""},
        {"image": "-rm"},
        {"image": "a b"},
        {"env": {"NVIDIA_VISIBLE_DEVICES": "all"}},
        {"user": "alice"},
        {"user": "0"},
        {"workdir": "work"},
        {"shm_size": 0},
        {"env": {"A B": "1"}},
        {"env": {"A": "\0"}},
        {"labels": {"org.jupyter-dlenv.owner": "mallory"}},
        {"labels": {"A": "1"}},
        {"mounts": (Mount.parse("/a:/x"), Mount.parse("/b:/x"))},
        {"ports": (PortMapping.parse("8080:1"), PortMapping.parse("8080:2"))},
    ],
)
def test_a_spec_that_no_engine_should_see_is_refused(changes):
    with pytest.raises(InvalidSpecError):
        spec(**changes)


def test_a_spec_survives_the_way_through_json():
    original = spec(
        gpus=GpuRequest.parse("device=0,2:1"),
        shared=True,
        mounts=(Mount.parse("/data:/data:ro"),),
        ports=(PortMapping.parse("8080:80"),),
        env={"A": "1"},
        user="1000:1000",
        workdir="/data",
        ulimits=(Ulimit.parse("stack=67108864"),),
        labels={"team": "x"},
        engine="process",
    )

    read = EnvironmentSpec.from_json(json.loads(json.dumps(original.to_json())))

    assert original == read


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"name": "a"},
        {"name": "a", "image": "b", "privileged": True},
        {"name": "a", "image": "b", "gpus": "two"},
        {"name": "a", "image": "b", "gpus": True},
        {"name": "a", "image": "b", "gpus": -1},
        {"name": "a", "image": "b", "shared": 1},
        {"name": "a", "image": "b", "mounts": "/a:/b"},
        {"name": "a", "image": "b", "env": {"A": 1}},
        {"name": 1, "image": "b"},
    ],
)
def test_a_description_with_unknown_or_mistyped_fields_is_refused(data):
    with pytest.raises(InvalidSpecError):
        EnvironmentSpec.from_json(data)


def test_a_spec_does_not_change_when_its_makers_dictionary_does():
    env = {"A": "1"}
    made = spec(env=env)

    env["A"] = "2"

    assert {"A": "1"} == dict(made.env)
