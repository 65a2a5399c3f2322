"""The project of a directory, as the launch form is told of it."""

from __future__ import annotations

import pytest

DIGEST = f"sha256:{'1' * 64}"
IMAGE = "registry.example.com/team/bert:1"


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


async def test_an_engine_that_the_server_does_not_use_is_refused(api, project):
    (project / "dlenv.toml").write_text('image = "x"\nengine = "docker"\n')

    answer = await api.get("/project", params={"path": "bert"})

    assert "wants the engine docker" in answer.error["message"]
