"""What can go wrong for a user: one sentence, what to try, and nothing left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

IMAGE = "dlenv-test/kernel"
LOST = "-dac_override,-dac_read_search"


@pytest.fixture
def run(docker_engine_url, images, owner, tmp_path):
    """Return a function that runs ``jupyter dlenv … --json`` as a user would."""
    images.ensure("kernel")
    work = tmp_path / "work"
    work.mkdir()

    def run_one(*arguments, env=None, wrapper=()):
        # Each runs in a process of its own: exit codes and last words are part of the contract.
        return subprocess.run(
            [*wrapper, Path(sys.executable).with_name("jupyter-dlenv"), *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=work,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "JUPYTERHUB_USER": owner, **(env or {})},
        )

    yield run_one
    listed = json.loads(run_one("list").stdout)["environments"]
    for environment in listed:
        run_one("remove", environment["name"], "--yes")
    assert [] == listed, "a failed launch left an environment behind"


def failure(result):
    """Return code of the process and of the error, after checking that both help."""
    assert "Traceback" not in result.stderr + result.stdout
    error = json.loads(result.stdout)["error"]
    assert error["message"].endswith("."), error
    assert error["hint"], error
    return result.returncode, error["code"]


def test_an_engine_that_is_stopped(run, tmp_path):
    nowhere = f"unix://{tmp_path}/docker.sock"

    assert (5, "engine-unreachable") == failure(
        run("launch", IMAGE, "--name", "a", env={"DOCKER_HOST": nowhere})
    )


def test_a_socket_that_nobody_listens_on(run, tmp_path):
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))

    assert (5, "engine-unreachable") == failure(
        run("launch", IMAGE, "--name", "a", env={"DOCKER_HOST": f"unix://{path}"})
    )


def test_a_socket_without_permission(run, other_user, tmp_path):
    path = tmp_path / "locked.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        os.chown(path, other_user.uid, other_user.gid)

        # Who reads root's Python has to be root, but one that permissions bind.
        result = run(
            *("launch", IMAGE, "--name", "a"),
            env={"DOCKER_HOST": f"unix://{path}"},
            wrapper=("setpriv", f"--bounding-set={LOST}", f"--inh-caps={LOST}"),
        )

    assert (5, "engine-permission") == failure(result)


def test_an_image_that_does_not_exist(run, registry):
    assert (6, "image-not-found") == failure(
        run("launch", f"{registry.address}/team/none:1", "--name", "a")
    )


def test_a_registry_that_wants_a_login(run, private_registry):
    assert (6, "registry-refused") == failure(
        # Not what other tests push there: the engine may have that already.
        run("launch", f"{private_registry.address}/team/secret:1", "--name", "a")
    )


def test_a_registry_that_does_not_answer(run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"

        result = run("launch", f"{address}/team/tiny:1", "--name", "a")

    assert (6, "registry-unreachable") == failure(result)


def test_a_port_that_is_taken(run):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        result = run("launch", IMAGE, "--name", "a", "--publish", f"{port}:80")

    assert (4, "port-taken") == failure(result)
    assert str(port) in json.loads(result.stdout)["error"]["message"]


def test_a_mount_that_is_missing(run):
    result = run("launch", IMAGE, "--name", "a", "--mount", "/no/such/directory:/data")

    assert (2, "mount-missing") == failure(result)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--name", "Bert!"], "invalid-name"),
        (["--mount", "data"], "invalid-spec"),
        (["--mount", "/tmp:/etc"], "invalid-spec"),
        (["--publish", "80:"], "invalid-spec"),
        (["--shm-size", "big"], "invalid-spec"),
        (["--user", "alice"], "invalid-spec"),
        (["--env", "A B=1"], "invalid-spec"),
        (["--gpus", "-1"], "invalid-spec"),
    ],
)
def test_a_value_that_is_invalid(run, arguments, code):
    assert (2, code) == failure(run("launch", IMAGE, *arguments))


def test_an_engine_that_nobody_configured(run):
    assert "unknown-engine" == failure(run("--engine", "podmann", "list"))[1]


def test_a_ulimit_that_the_host_refuses(run, engine_owned):
    if not engine_owned:
        pytest.skip("A developer's engine may permit it.")

    result = run("launch", IMAGE, "--name", "a", "--ulimit", "memlock=-1")

    assert "ulimit-refused" == failure(result)[1]


def test_a_name_that_is_not_there(run):
    assert (3, "environment-not-found") == failure(run("show", "nobody"))


@pytest.mark.owned_engine
@pytest.mark.slow
def test_a_disk_that_is_full(run, engine_tiny):
    """Worth its time: a full disk is met in practice, and only a real one gives the real texts."""
    engine_tiny.fill()

    result = run("launch", engine_tiny.image, "--name", "a", env={"DOCKER_HOST": engine_tiny.url})

    assert "disk-full" == failure(result)[1]
