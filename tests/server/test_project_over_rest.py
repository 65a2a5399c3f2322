"""The project of a directory, as the launch form is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_dlenv.lockfile import read_lock
from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.server.project import LaunchedProject

DIGEST = f"sha256:{'1' * 64}"
IMAGE = "registry.example.com/team/bert:1"


@pytest.fixture
def on_docker(request):
    return request.node.get_closest_marker("docker") is not None


@pytest.fixture
def engine(on_docker, request):
    return request.getfixturevalue("docker_engine_url") if on_docker else "process"


@pytest.fixture
def image(on_docker, request):
    return request.getfixturevalue("images").ensure("kernel") if on_docker else "python"


@pytest.fixture
def project(jp_root_dir):
    """Return a directory with a dlenv.toml, and one below it."""
    directory = jp_root_dir / "bert"
    (directory / "runs").mkdir(parents=True)
    (directory / "dlenv.toml").write_text(
        f'image = "{IMAGE}"\ngpus = 2\nmounts = ["data:/data:ro", "/srv/wiki:/wiki"]\n'
    )
    return directory


async def test_a_directory_below_a_project_is_in_it(api, project):
    answer = await api.get("/project", params={"path": "bert/runs"})

    found = answer.json["project"]
    assert found["path"] == str(project / "dlenv.toml")
    assert found["beyond"] == ["mounts /srv/wiki:/wiki"]
    assert not found["pinned"]
    assert found["spec"] == {
        "name": "bert",
        "image": IMAGE,
        "gpus": 2,
        "mounts": [f"{project}/data:/data:ro", "/srv/wiki:/wiki", f"{project}:{project}"],
        "workdir": str(project),
    }


async def test_a_lock_says_which_image(api, project):
    (project / "dlenv.lock").write_text(f'version = 1\nimage = "{IMAGE}"\ndigest = "{DIGEST}"\n')

    found = (await api.get("/project", params={"path": "bert"})).json["project"]

    assert found["pinned"]
    assert found["spec"]["image"] == f"{IMAGE}@{DIGEST}"


async def test_no_project_is_no_failure(api, jp_root_dir):
    assert (await api.get("/project")).json == {"project": None}


@pytest.mark.parametrize("path", ["..", "bert/../../.."])
async def test_only_directories_of_the_server_are_looked_at(api, project, path):
    answer = await api.get("/project", params={"path": path})

    assert (answer.code, answer.error["code"]) == (400, "invalid-spec")


async def test_a_file_that_is_wrong_says_where(api, project):
    (project / "dlenv.toml").write_text('image = "x"\ngpus = "some"\n')

    answer = await api.get("/project", params={"path": "bert"})

    assert answer.error["code"] == "invalid-spec-file"
    assert f"{project}/dlenv.toml:2" in answer.error["message"]


@pytest.mark.docker
async def test_a_launch_pins_the_image_of_its_project(project, api, image):
    file, lock = project / "dlenv.toml", project / "dlenv.lock"
    file.write_text(f'image = "{image}"\n')
    # As it may come with a project; what it leads to is no lock.
    precious = project / "runs" / "precious"
    precious.write_text("kept")
    (project / ".dlenv.lock.new").symlink_to(precious)
    body = {"name": "bert", "image": image, "project": str(file)}

    job = await api.ended((await api.post("/environments", body)).json["id"])

    assert ("ready", None, str(file)) == (job["phase"], job["error"], job["project"])
    pinned = read_lock(lock)
    assert (image, True) == (pinned.image, pinned.image_id.startswith("sha256:"))
    assert "kept" == precious.read_text()


async def test_nothing_is_pinned_for_another_image_or_outside_of_the_servers_files(
    project, dlenv, tmp_path
):
    inside, outside = project / "dlenv.toml", tmp_path / "outside" / "dlenv.toml"
    outside.parent.mkdir()
    (project / "link").symlink_to(outside.parent)
    for file in (inside, outside):
        file.write_text(f'image = "{IMAGE}"\n')

    def is_pinned(path: Path, image: str = IMAGE) -> bool:
        spec = EnvironmentSpec(name="a", image=image)
        root = Path(dlenv.root_dir)
        return LaunchedProject.opened(root, str(path), spec, dlenv.configuration) is not None

    assert is_pinned(inside)
    assert is_pinned(project / "runs" / ".." / "dlenv.toml")
    assert not is_pinned(inside, "python")
    assert not is_pinned(outside)
    assert not is_pinned(project / "link" / "dlenv.toml")


@pytest.mark.parametrize("path", ["bert/runs", "bert/runs/dlenv.toml", "a\0/dlenv.toml", 7])
async def test_what_is_no_project_is_refused_before_anything_happens(api, project, path):
    answer = await api.post("/environments", {"name": "a", "image": "python", "project": path})

    assert (400, "invalid-spec") == (answer.code, answer.error["code"])
    assert [] == (await api.get("/jobs")).json["jobs"]


async def test_an_engine_that_the_server_does_not_use_is_refused(api, project):
    (project / "dlenv.toml").write_text('image = "x"\nengine = "docker"\n')

    answer = await api.get("/project", params={"path": "bert"})

    assert "wants the engine docker" in answer.error["message"]
