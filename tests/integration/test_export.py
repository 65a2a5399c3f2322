"""What is exported is read by the real tools, and starts the same container on a real engine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from dataclasses import replace

import docker
import pexpect
import pytest
from rig import peers, shell

from jupyter_dlenv.exporting import export_environment
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.labels import BASE
from jupyter_dlenv.models import Mount, PortMapping

pytestmark = pytest.mark.docker
LIMIT = 120


@pytest.fixture
def engine_name(docker_engine_url, images):
    images.ensure("kernel")
    return "docker"


@pytest.fixture
def environments(on_gpus):
    return on_gpus


@pytest.fixture
def project(tmp_path, other_user):
    directory = tmp_path / "project"
    directory.joinpath("data").mkdir(parents=True)
    for path in (directory, directory / "data", tmp_path):
        path.chmod(0o777)
    return directory


@pytest.fixture
def wanted(spec, project, other_user, run_id):
    """Return a spec that sets everything there is."""
    return replace(
        spec,
        name=f"exported-{run_id}",
        gpus=GpuRequest(count=1),
        mounts=(
            Mount(source=str(project), target=str(project)),
            Mount(source=str(project / "data"), target="/data", read_only=True),
        ),
        ports=(PortMapping(container_port=8080),),
        env={"NASTY": "a b'\"`$HOME $(id) \\ # 1e3", "NUMBER": "1e3"},
        user=f"{other_user.uid}:{other_user.gid}",
        workdir=str(project),
        shm_size=64 * 1024**2,
        labels={"team": "$HOME"},
    )


@pytest.fixture
def original(environments, wanted, images, jp_asyncio_loop):
    """Return an environment, and how it looks from outside and inside."""

    environment = jp_asyncio_loop.run_until_complete(environments.launch(wanted))
    assert environment.gpu_uuids
    container = images.client.containers.get(environment.container_id)
    return environment, seen_from_both_sides(container, wanted.user)


@pytest.fixture
def client(images):
    return images.client


@pytest.fixture(scope="module")
def compose():
    return peers.compose()


@pytest.fixture(scope="module")
def devcontainer():
    return peers.devcontainer()


def seen_from_both_sides(container, user=""):
    """Return what must be the same in any container that pretends to be the environment.

    Args:
        user: As whom to look from inside, if not as the container's own.
    """
    attributes = container.attrs
    host = attributes["HostConfig"]
    inside = container.exec_run(["sh", "-c", 'echo "$(id -u):$(id -g) $NUMBER $NASTY"'], user=user)
    published = attributes["NetworkSettings"]["Ports"]
    return {
        "image": container.image.labels.get(BASE) or container.image.id,
        "mounts": {
            (mount["Source"], mount["Destination"], mount["RW"])
            for mount in attributes["Mounts"]
            if mount["Type"] == "bind" and mount["Destination"] != "/run/dlenv"
        },
        "ports": {
            port: {(each["HostIp"], each["HostPort"]) for each in bindings}
            for port, bindings in published.items()
            # Our own way in.
            if port != "22/tcp"
        },
        "shm": host["ShmSize"],
        "init": bool(host["Init"]),
        "gpus": [
            device.removeprefix("nvidia.com/gpu=")
            for request in host["DeviceRequests"]
            for device in request["DeviceIDs"]
        ],
        "label": container.labels["team"],
        "hostname": attributes["Config"]["Hostname"],
        "inside": inside.output.decode(),
    }


def run(*words, cwd=None, **variables):
    done = subprocess.run(
        [str(w) for w in words],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def exported(environments, original, project, jp_asyncio_loop):
    """Return a function that exports the environment, writes the file and stops the original."""
    environment, _ = original

    async def make(target):
        done = await export_environment(
            environments, environment.name, target, project=str(project)
        )
        await environments.stop(environment.name)
        return done

    def write(target):
        done = jp_asyncio_loop.run_until_complete(make(target))
        path = project / done.file
        path.parent.mkdir(exist_ok=True)
        path.write_text(done.content, encoding="utf-8")
        return path

    return write


def test_docker_run_starts_the_same(exported, original, client, project, wanted):
    path = exported("docker-run")

    with on_terminal(client, wanted.name, str(path)) as container:
        seen = seen_from_both_sides(container)

    assert seen == original[1]
    assert container.attrs["Config"]["WorkingDir"] == str(project)


def test_compose_starts_the_same(exported, original, client, project, compose):
    """Compose reads the file, and how it does has changed before."""
    path = exported("compose")
    compose = (compose, "--project-directory", project, "--file", path)
    try:
        run(*compose, "up", "--detach", "--quiet-pull")
        (container_id,) = (run(*compose, "ps", "--quiet")).split()
        container = client.containers.get(container_id)
        seen = seen_from_both_sides(container)
    finally:
        run(*compose, "down", "--timeout", "0")

    assert seen == original[1]


def test_a_dev_container_starts_the_same(exported, original, client, project, devcontainer):
    """Nobody but its own program knows what a devcontainer.json means."""
    exported("devcontainer")
    up = (
        *(devcontainer, "up", "--workspace-folder", project),
        *("--docker-path", peers.docker(), "--skip-post-create"),
    )
    answer = json.loads((run(*up)).splitlines()[-1])
    container = client.containers.get(answer["containerId"])
    try:
        seen = seen_from_both_sides(container)
    finally:
        container.remove(force=True, v=True)

    assert answer["outcome"] == "success"
    assert answer["remoteWorkspaceFolder"] == str(project)
    assert seen == original[1]


def test_a_dockerfile_has_what_an_image_can_have(exported, original, client, project, wanted):
    path = exported("dockerfile")
    image, _ = client.images.build(path=str(project), tag=wanted.name, rm=True, forcerm=True)
    command = "".join(
        line.removeprefix("#   ")
        for line in path.read_text().splitlines(keepends=True)
        if line.startswith("#   ")
    )
    script = project / "run.sh"
    script.write_text(command[command.index("docker run") :], encoding="utf-8")
    try:
        with on_terminal(client, wanted.name, str(script)) as container:
            seen = seen_from_both_sides(container)
    finally:
        client.images.remove(wanted.name, force=True)

    config = image.attrs["Config"]
    assert seen == {**original[1], "image": image.id}
    assert (config["User"], config["WorkingDir"]) == (wanted.user, str(project))
    assert f"NASTY={wanted.env['NASTY']}" in config["Env"]


@contextlib.contextmanager
def on_terminal(client, name, script):
    """Run a script as a user on a terminal does, until the container that it starts is left."""
    path = f"{peers.docker().parent}:{os.environ['PATH']}"
    terminal = pexpect.spawn(
        "sh", [script], timeout=LIMIT, encoding="utf-8", env={**os.environ, "PATH": path}
    )
    try:
        for _ in shell.until(LIMIT, f"the container; {terminal.before!r}"):
            found = client.containers.list(filters={"name": f"^/{name}$"}, sparse=True)
            if found:
                break
        yield client.containers.get(name)
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
        with contextlib.suppress(docker.errors.APIError):
            client.api.remove_container(name, force=True)
