"""A project with a dlenv.toml: launched from anywhere in it, and pinned by dlenv.lock."""

from __future__ import annotations

import json
import re

import pytest

from jupyter_dlenv import specfile
from jupyter_dlenv.labels import BASE


@pytest.fixture
def write(project):
    """Return a function that writes the project's dlenv.toml."""

    def write_one(text):
        (project / "dlenv.toml").write_text(text, encoding="utf-8")

    return write_one


@pytest.fixture
def allow(tmp_path):
    """Return a function that adds rules of an administrator to the configuration."""
    path = tmp_path / "cli" / "jupyter_dlenv_config.json"

    def allow_only(**rules):
        settings = json.loads(path.read_text())
        settings["Configuration"] |= rules
        path.write_text(json.dumps(settings))

    return allow_only


@pytest.fixture
def kernel_image(images):
    """Return a name for the test images that this test may move, and a function that moves it."""
    tag = "dlenv-test/moved:1"

    def move(name):
        images.client.images.get(images.ensure(name)).tag(tag)

    move("kernel")
    yield tag, move
    images.client.images.remove(tag)


def test_a_project_is_launched_from_anywhere_in_it(
    run, run_json, write, project, image, monkeypatch
):
    write(f'name = "bert"\nimage = "{image}"\ngpus = 0\n[env]\nA = "file"\nB = "file"\n')
    below = project / "src"
    below.mkdir()
    monkeypatch.chdir(below)

    code, answer = run_json("launch", "--env", "B=typed")

    environment = answer["environment"]
    assert (code, environment["name"]) == (0, "bert")
    assert environment["mounts"] == [f"{project}:{project}"]
    assert environment["spec"]["workdir"] == str(project)
    assert environment["spec"]["env"] == {"A": "file", "B": "typed"}
    assert run("launch").returncode == 4


def test_an_image_that_is_typed_leaves_the_file_alone(run_json, write, image):
    write("this is no TOML")

    assert run_json("launch", image, "--name", "a")[0] == 0


def test_a_launch_of_nothing_says_how_to_begin(run):
    done = run("launch")

    assert done.returncode == 2
    assert "jupyter dlenv init" in done.stderr


def test_what_a_file_mounts_from_elsewhere_is_said(run, write, image, tmp_path):
    (tmp_path / "keys").mkdir()
    write(f'image = "{image}"\nmounts = ["../keys:/keys"]')

    done = run("launch")

    assert f"it mounts {tmp_path}/keys:/keys" in done.stderr


def test_whoever_wants_to_pin_what_is_built_hears_that_nothing_is_pinned(run, write):
    write('build = "."')

    assert "nothing is pinned" in run("launch", "--update-lock").stderr
    assert "nothing is pinned" not in run("launch").stderr


def test_init_writes_a_file_that_launches(run, run_json, project, image):
    assert run("init", image).returncode == 0
    assert run_json("launch", "--env", "A=b")[1]["environment"]["name"] == "project"
    assert run("init", "--from", "project").returncode == 2, "a file is replaced without asking"
    assert run_json("init", "--from", "project", "--yes")[1]["path"] == f"{project}/dlenv.toml"

    spec = specfile.read(project / "dlenv.toml").spec()
    assert (spec.name, spec.image, spec.mounts, spec.env) == ("project", image, (), {"A": "b"})


@pytest.mark.parametrize(
    ("rule", "value", "line"),
    [
        ("allowed_images", ["corp/*"], ""),
        ("allowed_images", ["python", "dlenv-test/*"], 'build = "."'),
        ("allowed_mounts", ["/data/*"], 'mounts = ["/srv:/srv"]'),
        ("allowed_users", ["caller"], 'user = "root"'),
        ("allowed_bind_addresses", ["127.*"], 'ports = ["0.0.0.0:8080:80"]'),
        ("allowed_host_ports", [2000, 3000], 'ports = ["8080:80"]'),
        ("max_gpus", 1, "gpus = 2"),
        ("max_environments", 0, ""),
    ],
)
@pytest.mark.parametrize("engine_name", ["process"], indirect=True)
def test_no_rule_can_be_got_around_with_a_file(
    run_json, write, allow, project, image, rule, value, line
):
    (project / "Dockerfile").write_text("FROM scratch\n")
    write(f'image = "{image}"\n{line}\n')
    allow(**{rule: value})

    code, answer = run_json("launch", "--no-mount")

    assert (code, answer["error"]["code"]) == (7, "not-allowed")
    assert f"rule {rule}" in answer["error"]["message"]
    assert run_json("list")[1] == {"environments": []}


@pytest.mark.parametrize(
    "engine_name", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
class TestLock:
    @pytest.mark.slow
    def test_a_tag_that_was_moved_does_not_move_a_project(
        self, run, run_json, write, project, registry, images
    ):
        """Earns its time: that everybody gets the same image is what the lock is for."""
        tag = registry.push(images.client, images.ensure("kernel"), "team/moved:1")
        first = images.client.images.get(images.ensure("kernel")).id
        write(f'name = "a"\nimage = "{tag}"')
        lock = project / "dlenv.lock"

        said = run("launch").stderr
        pinned = lock.read_text()
        digest = re.search(r'digest = "(sha256:.*)"', pinned)[1]
        assert f"pins {tag} as {digest}" in said
        run("remove", "--yes", "a")
        registry.push(images.client, images.ensure("ngc"), "team/moved:1")
        self.forget(images, tag)

        again = run_json("launch")[1]["environment"]
        assert (again["image"], self.below(images, again)) == (f"{tag}@{digest}", first)
        assert lock.read_text() == pinned
        run("remove", "--yes", "a")

        anew = run_json("launch", "--update-lock")[1]["environment"]
        assert self.below(images, anew) == images.client.images.get(images.ensure("ngc")).id
        assert digest not in lock.read_text()
        run("remove", "--yes", "a")
        self.forget(images, tag)

        write(f'name = "a"\nimage = "{tag.removesuffix(":1")}:2"')
        code, answer = run_json("launch")
        assert (code, answer["error"]["code"]) == (2, "lock-outdated")
        assert "--update-lock" in answer["error"]["hint"]

    def test_a_lock_cannot_lead_to_another_repository_or_tag_than_is_allowed(
        self, run_json, write, allow, project, image
    ):
        write(f'image = "{image}:latest"')
        digest = "sha256:" + "0" * 64
        (project / "dlenv.lock").write_text(
            f'version = 1\nimage = "{image}:latest"\ndigest = "{digest}"\n'
        )
        allow(allowed_images=[f"{image}:latest"])

        code, answer = run_json("launch", "--no-mount")

        assert code == 7
        assert f"{image}:latest@{digest}" in answer["error"]["message"]

    def test_an_image_that_was_never_pushed_is_pinned_by_its_id(
        self, run, run_json, write, project, kernel_image
    ):
        tag, move = kernel_image
        write(f'name = "a"\nimage = "{tag}"')

        assert "others cannot get it" in run("launch").stderr
        run("remove", "--yes", "a")
        move("ngc")

        code, answer = run_json("launch")
        assert (code, answer["error"]["code"]) == (2, "lock-outdated")
        assert run_json("launch", "--update-lock")[0] == 0

    def below(self, images, environment):
        """Return the id of the image that was launched, to which something may be added."""
        runs = images.client.images.get(environment["image_id"])
        return runs.labels.get(BASE) or runs.id

    def forget(self, images, tag):
        """Take from the engine what only the registry should have now."""
        name = tag.rpartition(":")[0]
        for image in images.client.images.list():
            for reference in image.attrs["RepoDigests"] or ():
                if reference.startswith(f"{name}@"):
                    images.client.images.remove(reference)
            for reference in image.tags:
                if reference.startswith(f"{name}:"):
                    images.client.images.remove(reference)


@pytest.mark.parametrize(
    "engine_name", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
def test_export_writes_into_the_project_and_replaces_nothing_unasked(
    run, run_json, launched, project
):
    _, answer = run_json("export", "a", "--to", "compose", "-o", ".")
    path = project / "compose.yaml"
    assert (answer["export"]["path"], answer["export"]["content"]) == (str(path), path.read_text())

    path.write_text("mine")
    done = run("export", "a", "--to", "compose", "-o", str(project))
    assert (done.returncode, path.read_text()) == (2, "mine")
    assert "--yes" in done.stderr

    done = run("export", "a", "--to", "docker-run")
    assert done.stdout.startswith("docker run ")
    assert f"source={project},target={project}" in done.stdout
    assert "Note: " in done.stderr


@pytest.mark.parametrize("engine_name", ["process"], indirect=True)
def test_a_plain_process_cannot_be_exported(run_json, launched):
    _, answer = run_json("export", "a", "--to", "compose")

    assert answer["error"]["code"] == "capability-missing"
