"""Exported texts: what each tool will read, whatever the values are."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml

from jupyter_dlenv.access.export import TARGETS, export
from jupyter_dlenv.access.portable import portable
from jupyter_dlenv.cli import export as command
from jupyter_dlenv.engines.base import ImageFacts
from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.models import (
    Environment,
    EnvironmentSpec,
    Mount,
    PortMapping,
    Status,
    Ulimit,
)
from jupyter_dlenv.secrecy import looks_secret

DIGEST = f"sha256:{'1' * 64}"
IMAGE = ImageFacts(
    id=f"sha256:{'0' * 64}", digests=(f"nvcr.io/nvidia/pytorch@{DIGEST}",), workdir="/workspace"
)
#: Each character that some shell, YAML, JSON, CSV or Dockerfile gives a meaning.
NASTY = "a b'\"`$HOME ${HOME} $(id) \\ # & ; | ~ * , = : 1e3"


def carried(*, user="1000:1000", image=IMAGE, uuids=(), gpus=0, **fields):
    name, wanted = "nvcr.io/nvidia/pytorch:25.10-py3", GpuRequest.parse(gpus)
    spec = EnvironmentSpec(name="bert", image=name, gpus=wanted, **fields)
    environment = Environment(
        id="1", spec=spec, status=Status.RUNNING, container_id="c", image_id="i", owner="o",
        engine="docker", gpu_uuids=uuids,
        ports=(PortMapping(container_port=80, host_port=49153),),
    )  # fmt: skip
    return portable(environment, image, user=user)


def words_of(command_text):
    """Return the arguments that a shell would give to docker."""
    script = 'docker() { printf "%s\\0" "$@"; }\n' + command_text
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_all_targets_are_offered_by_the_command_line():
    assert command._TARGETS == TARGETS


def test_an_unknown_target_is_refused():
    with pytest.raises(InvalidSpecError, match="kubernetes"):
        export(carried(), "kubernetes")


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_is_pinned_and_what_is_not_the_same_is_said(target):
    done = export(carried(), target)

    assert f"nvcr.io/nvidia/pytorch:25.10-py3@{DIGEST}" in done.content
    assert "jupyter dlenv save" in done.notes[0]
    assert "No registry" not in " ".join(done.notes)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_that_no_registry_has_is_said(target):
    done = export(carried(image=None), target)

    assert "nvcr.io/nvidia/pytorch:25.10-py3" in done.content
    assert "No registry is known" in " ".join(done.notes)


@pytest.mark.parametrize("target", TARGETS)
def test_no_secret_is_written_down_and_its_name_is_said(target):
    done = export(carried(env={"WANDB_API_KEY": "s3cret", "A": "b"}), target)

    assert "s3cret" not in json.dumps(done.to_json())
    assert "WANDB_API_KEY" in " ".join(done.notes)


def test_secrets_are_passed_on_by_name():
    environment = carried(env={"HF_TOKEN": "s3cret"})

    run = words_of(export(environment, "docker-run").content)
    compose = yaml.safe_load(export(environment, "compose").content)
    container = json.loads(export(environment, "devcontainer").content)

    assert run[run.index("HF_TOKEN") - 1] == "--env"
    assert compose["services"]["bert"]["environment"]["HF_TOKEN"] is None
    assert container["containerEnv"]["HF_TOKEN"] == "${localEnv:HF_TOKEN}"


def test_a_shell_changes_nothing_in_the_command():
    environment = carried(
        gpus=2,
        mounts=(Mount(source="/data, old", target="/a b", read_only=True),),
        ports=(PortMapping(container_port=80), PortMapping.parse("6006:6006")),
        env={"NASTY": NASTY, "LINES": "a\nb"},
        ulimits=(Ulimit(name="memlock", soft=-1, hard=-1),),
        workdir="/a b",
        labels={"team": NASTY},
    )

    words = words_of(export(environment, "docker-run").content)

    assert words[:5] == ["run", "--interactive", "--tty", "--rm", "--init"]
    options = list(zip(words[5:-1:2], words[6::2], strict=True))
    assert words[-1] == environment.image
    assert options == [
        ("--name", "bert"),
        ("--hostname", "bert"),
        ("--gpus", "2"),
        ("--shm-size", str(8 * 1024**3)),
        ("--ulimit", "memlock=-1:-1"),
        ("--publish", "127.0.0.1:49153:80"),
        ("--publish", "127.0.0.1:6006:6006"),
        ("--label", f"team={NASTY}"),
        ("--user", "1000:1000"),
        ("--workdir", "/a b"),
        ("--mount", 'type=bind,"source=/data, old",target=/a b,readonly'),
        ("--env", f"NASTY={NASTY}"),
        ("--env", "LINES=a\nb"),
        ("--env", "HOME=/tmp"),
    ]


def test_gpus_are_asked_for_by_name_where_the_names_are_known():
    environment = carried(gpus=2, uuids=("GPU-1", "GPU-2"))

    words = words_of(export(environment, "docker-run").content)
    compose = yaml.safe_load(export(environment, "compose").content)
    container = json.loads(export(environment, "devcontainer").content)

    value = '"device=GPU-1,GPU-2"'
    assert words[words.index("--gpus") + 1] == value
    assert container["runArgs"][container["runArgs"].index("--gpus") + 1] == value
    (device,) = compose["services"]["bert"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {
        "driver": "nvidia",
        "device_ids": ["GPU-1", "GPU-2"],
        "capabilities": ["gpu"],
    }


@pytest.mark.parametrize(
    ("wanted", "flag", "compose"),
    [
        (2, "2", {"count": 2}),
        ("all", "all", {"count": "all"}),
        ("device=1", "device=1", {"device_ids": ["1"]}),
    ],
)
def test_gpus_without_names_are_asked_for_as_they_were(wanted, flag, compose):
    environment = carried(gpus=wanted)

    words = words_of(export(environment, "docker-run").content)
    service = yaml.safe_load(export(environment, "compose").content)["services"]["bert"]

    assert words[words.index("--gpus") + 1] == flag
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", **compose, "capabilities": ["gpu"]}


@pytest.mark.parametrize("target", TARGETS)
def test_without_gpus_none_is_shown_whatever_the_image_says(target):
    content = export(carried(gpus=0), target).content

    assert "NVIDIA_VISIBLE_DEVICES" in content
    assert "--gpus" not in content


def test_what_lies_in_the_project_is_written_relative_to_it():
    environment = carried(
        mounts=(
            Mount(source="/p", target="/p"),
            Mount(source="/p/data", target="/data"),
            Mount(source="/pub", target="/pub"),
        ),
        workdir="/p/src",
    )

    compose = yaml.safe_load(export(environment, "compose", project="/p/").content)
    container = json.loads(export(environment, "devcontainer", project="/p").content)

    volumes = compose["services"]["bert"]["volumes"]
    assert [v["source"] for v in volumes] == [".", "./data", "/pub"]
    assert container["workspaceFolder"] == "/p/src"
    assert container["workspaceMount"] == "type=bind,source=${localWorkspaceFolder},target=/p"
    assert container["mounts"] == [
        "type=bind,source=${localWorkspaceFolder}/data,target=/data",
        "type=bind,source=/pub,target=/pub",
    ]


def test_a_dev_container_starts_where_the_image_does_if_nothing_is_mounted():
    container = json.loads(export(carried(), "devcontainer").content)

    assert (container["workspaceMount"], container["workspaceFolder"]) == ("", "/workspace")


def test_numbers_of_another_yaml_stay_text():
    env = {"LR": "1e3", "MODE": "0o17", "ON": "yes", "NONE": "null", "TIME": "1:30"}

    content = export(carried(env=env), "compose").content

    written = dict(re.findall(r"""^ +'?(\w+)'?: (.*)$""", content, re.MULTILINE))
    assert {key: written[key][1:-1] for key in env} == env
    assert {written[key][0] for key in env} <= {"'", '"'}


def test_nothing_can_break_out_of_its_line_in_a_dockerfile():
    environment = carried(
        env={"A": "b\nRUN evil"},
        labels={"c": "d\rRUN evil"},
        workdir="/a\nRUN evil",
        mounts=(Mount(source="/a\nRUN evil", target="/b"),),
    )

    done = export(environment, "dockerfile")

    assert "RUN evil" not in done.content
    assert done.notes[-1] == "Cannot be in a Dockerfile: env A, label c, workdir."


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"]
)
def test_names_of_secrets_are_known(name):
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["MONKEY", "KEYBOARD", "PATH", "AUTHOR", "WANDB_MODE", "PWD"])
def test_other_names_are_not_taken_for_secrets(name):
    assert not looks_secret(name)
