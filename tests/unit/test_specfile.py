"""dlenv.toml: what it may say, how it says what is wrong, and that it comes back as written."""

from __future__ import annotations

import os

import pytest

from jupyter_dlenv import specfile
from jupyter_dlenv.errors import InvalidSpecFileError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.models import EnvironmentSpec, Mount, PortMapping, Ulimit

FULL = """\
name = "bert"
image = "nvcr.io/nvidia/pytorch:25.10-py3"
gpus = 2
mounts = ["data:/data:ro", "~/models:/models", "/srv:/srv"]
ports = ["6006:6006"]
user = "root"
workdir = "/workspace"
shm_size = "16g"
ulimits = ["memlock=-1"]

[env]
WANDB_MODE = "offline"

[labels]
team = "vision"
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    directory = tmp_path / "p"
    directory.mkdir()
    return directory


@pytest.fixture
def read(project):
    """Return a function that reads a dlenv.toml with some text in the project."""

    def read_one(text, **arguments):
        path = project / "dlenv.toml"
        path.write_text(text, encoding="utf-8")
        return specfile.read(path, **arguments)

    return read_one


def test_every_field_is_read_and_sources_begin_at_the_file(read, project):
    assert read(FULL).spec() == EnvironmentSpec(
        name="bert",
        image="nvcr.io/nvidia/pytorch:25.10-py3",
        gpus=GpuRequest(count=2),
        mounts=(
            Mount(source=f"{project}/data", target="/data", read_only=True),
            Mount(source="/home/me/models", target="/models"),
            Mount(source="/srv", target="/srv"),
        ),
        ports=(PortMapping(host_port=6006, container_port=6006),),
        user="root",
        workdir="/workspace",
        shm_size=16 * 1024**3,
        ulimits=(Ulimit(name="memlock", soft=-1, hard=-1),),
        env={"WANDB_MODE": "offline"},
        labels={"team": "vision"},
    )


def test_a_build_needs_no_image_and_begins_at_the_file(read, project):
    file = read('build = "docker"')

    assert file.build == f"{project}/docker"
    assert file.spec(otherwise="p").image == "dlenv/build:p"


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ('image = "a"\n\ngpu = 1', 3, "no key 'gpu'", "Did you mean 'gpus'?"),
        ("image = 'a'\n[enf]\nA = '1'", 2, "no key 'enf'", "Did you mean 'env'?"),
        ('image = "a"\ngpus = -1', 2, "not a number of GPUs", ""),
        ('"shm_size" = "much"', 1, "not a size such as 8g", ""),
        ('image = "a"\nmounts = ["data"]', 2, "not a mount", "SRC:DST"),
        ('mounts = ["data:/etc"]', 1, "hide the image's system", ""),
        ('ports = ["0.0.0.0:80"]', 1, "not a port mapping", ""),
        ('name = "Bert"', 1, "cannot be the name", ""),
        ("[env]\nA = 1", 1, "names to strings", ""),
        ('[labels]\n"org.jupyter-dlenv.owner" = "me"', 1, "belong to jupyter_dlenv", ""),
        ("build = 3", 1, "wrong type", ""),
        ('build = ""', 1, "a directory with a Dockerfile", ""),
        # A project that was cloned must not send logins to a stranger, nor leave its box.
        ('engine = "tcp://example.com:2375"', 1, "cannot be chosen", "--engine"),
        ('engine = "process"', 1, "cannot be chosen", "--engine"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(read, project, text, line, message, hint):
    with pytest.raises(InvalidSpecFileError, match=message) as caught:
        read(text)

    assert str(caught.value).startswith(f"{project}/dlenv.toml:{line}: ")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text", ["image = ", "a" * 2**21, "x = " + "[" * 100_000, 'image = "a"\nimage = "b"']
)
def test_what_is_no_toml_is_said(read, text):
    with pytest.raises(InvalidSpecFileError):
        read(text)


def test_a_file_without_image_and_build_describes_nothing(read):
    with pytest.raises(InvalidSpecFileError, match="names no image"):
        read("gpus = 1").spec(otherwise="p")


def test_a_configured_engine_may_be_chosen(read):
    assert read('image = "a"\nengine = "lab"', engines=("docker", "lab")).engine == "lab"


def test_the_nearest_file_above_is_found(project):
    path = project / "dlenv.toml"
    below = project / "a/b"
    below.mkdir(parents=True)
    assert specfile.find(below) is None

    path.write_text("")

    assert specfile.find(below) == path


def test_a_file_that_somebody_else_has_put_there_is_not_used(project, other_user):
    path = project / "dlenv.toml"
    path.write_text('image = "a"')
    os.chown(path, other_user.uid, other_user.gid)

    with pytest.raises(InvalidSpecFileError, match="belongs to another user") as caught:
        specfile.find(project)

    assert f"--file {path}" in caught.value.hint


def test_what_reaches_beyond_the_project_is_named(read, project):
    (project / "keys").symlink_to("/root")
    file = read(
        'image = "a"\nmounts = ["data:/data", "~/.ssh:/ssh", "keys:/keys"]\n'
        'ports = ["6006:6006", "0.0.0.0:80:80"]'
    )

    assert file.beyond(file.spec(otherwise="p")) == (
        "mounts /home/me/.ssh:/ssh",
        f"mounts {project}/keys:/keys",
        "publishes 0.0.0.0:80:80",
    )


def test_the_command_line_wins(read):
    spec = specfile.merged(
        read(FULL).spec(),
        {
            "gpus": GpuRequest(count=1),
            "mounts": (Mount(source="/other", target="/data"),),
            "ports": (PortMapping(container_port=80),),
            "ulimits": (Ulimit(name="memlock", soft=1, hard=1),),
            "env": {"A": "b"},
        },
    )

    assert spec.gpus == GpuRequest(count=1)
    assert [str(m) for m in spec.mounts] == [
        "/home/me/models:/models",
        "/srv:/srv",
        "/other:/data",
    ]
    assert [p.container_port for p in spec.ports] == [6006, 80]
    assert [str(u) for u in spec.ulimits] == ["memlock=1:1"]
    assert spec.env == {"WANDB_MODE": "offline", "A": "b"}
    assert spec.shm_size == 16 * 1024**3


def test_what_is_written_is_read_as_it_was(read, project):
    spec = EnvironmentSpec(
        name="bert",
        image="a/b:1",
        gpus=GpuRequest(devices=("0", "GPU-1b2c")),
        shared=True,
        mounts=(
            Mount(source=f"{project}/my data", target="/data", read_only=True),
            Mount(source=str(project), target="/src"),
            Mount(source="/srv", target="/srv"),
        ),
        ports=(PortMapping(container_port=80), PortMapping.parse("0.0.0.0:81:81")),
        user="1:2",
        workdir="/src",
        shm_size=3 * 1024**2,
        ulimits=(Ulimit(name="stack", soft=1, hard=-1),),
        env={"QUOTES": "\"'\\$ü\x7f\U0001f600\n", "EMPTY": ""},
        labels={"a.b/c": "d"},
    )

    text = specfile.render(spec, directory=project)

    assert read(text).spec() == spec
    assert '"./my data:/data:ro"' in text


def test_the_project_itself_and_secrets_are_not_written_down(project):
    spec = EnvironmentSpec(
        name="a",
        image="b",
        mounts=(Mount(source=str(project), target=str(project)),),
        workdir=str(project),
        env={"WANDB_API_KEY": "s3cret", "HF_TOKEN": "s3cret", "MONKEY": "banana"},
    )

    text = specfile.render(spec, directory=project)

    assert str(project) not in text
    assert "s3cret" not in text
    assert "# Not written down: WANDB_API_KEY" in text
    assert 'MONKEY = "banana"' in text


def test_the_comments_are_examples_that_work(read, project):
    spec = EnvironmentSpec(name="a", image="b")
    text = specfile.render(spec, directory=project)
    assert read(text).spec() == spec

    examples = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith(("# [", "#")) and (" = " in line or line.startswith("# ["))
    ]
    assert read("\n".join(examples)).fields["mounts"] == [f"{project}/data:/data:ro"]
    assert len(examples) == 12
