"""Two users on one engine, as a JupyterHub has them: neither reaches the other's environments."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import docker
import pytest
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager

import jupyter_dlenv as dl
from jupyter_dlenv.cli.commands import dlenv
from jupyter_dlenv.errors import EnvironmentNotFoundError, KernelStartError
from jupyter_dlenv.kernels import kernelspecs
from jupyter_dlenv.labels import OWNER
from jupyter_dlenv.plan import container_name
from jupyter_dlenv.reach import connection_sheet, open_ssh

pytestmark = pytest.mark.parametrize("engine_name", ["docker"], indirect=True)

#: What commands need beside the name of an environment.
ALSO_NEEDED = {
    "exec": ("--", "true"),
    "export": ("--to", "compose"),
    "forward": ("8000",),
    "remove": ("--yes",),
    "save": ("stolen:1",),
}


@pytest.fixture
def alices(open_environments, owner, spec, tmp_path, jp_asyncio_loop):
    """Launch an environment of another user of the same machine."""
    alice = open_environments(
        owner=f"{owner}-al", data_dir=tmp_path / "al", runtime_dir=tmp_path / "ra"
    )
    return alice, jp_asyncio_loop.run_until_complete(alice.launch(spec))


def commands_with_a_name():
    """Return what the command line has that takes NAME, so that none is forgotten here."""
    found = set()
    for name, command in dlenv.commands.items():
        for prefix, each in [("", command), *getattr(command, "commands", {}).items()]:
            full = f"{name} {prefix}".strip()
            if any(p.name in ("name", "names") and p.param_type_name == "argument"
                   for p in each.params):  # fmt: skip
                found.add(full)
    return found


def test_no_command_finds_the_environment_of_somebody_else(alices, run):
    _, environment = alices
    # One asks no engine, and the other a server, with its owner's token.
    commands = commands_with_a_name() - {"kernelspec uninstall", "ssh-proxy"}

    answers = {
        command: run(*command.split(), environment.name, *ALSO_NEEDED.get(command, ()))
        for command in sorted(commands)
    }

    assert {"show", "stop", "exec", "ssh", "logs", "remove"} <= commands
    assert {} == {c: a for c, a in answers.items() if "no environment 'a'" not in a.stderr}
    assert all(answer.returncode for answer in answers.values())
    assert [] == json.loads(run("list", "--json").stdout)["environments"]


def test_no_script_kernel_or_ssh_client_finds_it_and_none_of_it_changed_anything(
    alices, environments, project, tmp_path, jp_asyncio_loop
):
    alice, environment = alices
    wait = jp_asyncio_loop.run_until_complete
    directory = tmp_path / "hand"
    spec = kernelspecs.install(directory, environment) / "kernel.json"
    by_hand = json.loads(spec.read_text())
    config = {"environment": "a", "engine": "docker", "owner": alice.owner}
    provisioner = {"provisioner_name": kernelspecs.PROVISIONER, "config": config}
    by_hand["metadata"]["kernel_provisioner"] = provisioner
    spec.write_text(json.dumps(by_hand))
    specs = KernelSpecManager(kernel_dirs=[str(directory)])
    manager = AsyncIOLoopKernelManager(kernel_name="dlenv-a", kernel_spec_manager=specs)

    with pytest.raises(EnvironmentNotFoundError):
        dl.get("a")
    with pytest.raises(KernelStartError, match="no environment 'a'"):
        wait(manager.start_kernel())
    for step in (open_ssh, connection_sheet):
        with pytest.raises(EnvironmentNotFoundError):
            wait(step(environments, "a"))
    with pytest.raises(EnvironmentNotFoundError):
        wait(environments.open_stream("a", ("true",)))

    assert environment == wait(alice.get("a"))


def test_a_container_with_forged_labels_is_nobodys(
    alices, environments, docker_engine_url, other_user, jp_asyncio_loop
):
    alice, environment = alices
    wait = jp_asyncio_loop.run_until_complete
    client = docker.DockerClient(base_url=docker_engine_url)
    labels = client.containers.get(environment.container_id).labels
    forged = {**labels, OWNER: environments.owner}
    name = container_name(environments.owner, "a")
    trap = client.containers.create(environment.spec.image, name=name, labels=forged)
    # As it is where the other user is one of the system's, too.
    sockets = Path(environment.runtime_dir).parent
    os.chown(sockets, other_user.uid, other_user.gid)
    try:
        # It would lead to the sockets of somebody else, and kernels would run there.
        with pytest.raises(EnvironmentNotFoundError, match="is none"):
            wait(environments.get("a"))
        assert () == wait(environments.list())
    finally:
        os.chown(sockets, os.getuid(), os.getgid())
        trap.remove()
        client.close()
    assert ("a",) == tuple(e.name for e in wait(alice.list()))


async def test_neither_hears_of_what_the_other_does(alices, environments):
    alice, _ = alices
    heard = []

    async def listen():
        async for event in environments.events():
            heard.append(event)  # noqa: PERF401 a list that never ends

    listening = asyncio.ensure_future(listen())
    await asyncio.wait({listening}, timeout=0.5)
    await alice.stop("a")
    await alice.start("a")
    listening.cancel()
    await asyncio.wait({listening})

    assert [] == heard
