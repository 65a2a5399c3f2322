"""Every rule of an administrator refuses at every door, and names itself.

The doors of the REST API are in ``tests/server/test_policy_over_rest.py``.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import docker
import pytest
import tomli_w
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from rig.rules import RULES, Rule
from traitlets.config import Config

import jupyter_dlenv as dl
from jupyter_dlenv import magics
from jupyter_dlenv.errors import InvalidSpecError, KernelStartError, NotAllowedError
from jupyter_dlenv.kernels import kernelspecs
from jupyter_dlenv.labels import GPUS
from jupyter_dlenv.models import EnvironmentSpec, Mount
from jupyter_dlenv.plan import home_volume
from jupyter_dlenv.policy import Policy
from jupyter_dlenv.using import running_environment
from jupyter_dlenv.widgets import EnvironmentLauncher

on_processes = pytest.mark.parametrize("engine_name", ["process"], indirect=True)
on_docker = pytest.mark.parametrize("engine_name", ["docker"], indirect=True)


@pytest.fixture
def allow(tmp_path):
    """Return a function that lays down rules."""
    path = tmp_path / "cli" / "jupyter_dlenv_config.json"

    def allow_only(rule: Rule):
        settings = json.loads(path.read_text())
        settings["Configuration"][rule.name] = rule.value
        path.write_text(json.dumps(settings))

    return allow_only


@pytest.fixture
def shell(project):
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    magics.load(shell)
    return shell


def by_cli(rule, run, **_):
    return run("launch", "python", "--name", "x", "--no-mount", *rule.options).stderr


def by_toml(rule, run, project, **_):
    described = {"name": "x", "image": "python", **rule.wish}
    (project / "dlenv.toml").write_text(tomli_w.dumps(described), encoding="utf-8")
    return run("launch", "--no-mount").stderr


def by_magic(rule, shell, **_):
    words = " ".join(("launch python --name x --no-mount", *rule.options))
    with pytest.raises(NotAllowedError) as refused:
        shell.run_line_magic("dlenv", words)
    return str(refused.value)


def by_script(rule, **_):
    with pytest.raises(NotAllowedError) as refused:
        dl.launch("python", name="x", mount_here=False, **rule.wish)
    return str(refused.value)


def by_widget(rule, **_):
    form = EnvironmentLauncher(image="python", name="x", **rule.wish)
    form.choices.mount_here.value = False
    failed = threading.Event()
    form.observe(lambda change: change["new"] == "failed" and failed.set(), "phase")
    form.launch()
    assert failed.wait(60)
    return form.error


DOORS = (by_cli, by_toml, by_magic, by_script, by_widget)
CASES = [pytest.param(rule, door, id=f"{rule}-{door.__name__}") for rule in RULES for door in DOORS]


def test_every_rule_has_its_rows():
    # Those of allowed_gpus, which want GPUs, are in test_gpu_leases.py.
    rules = {*Policy.__dataclass_fields__} - {"allowed_gpus"}

    assert rules == {rule.name for rule in RULES}


@on_processes
@pytest.mark.parametrize(("rule", "door"), CASES)
def test_a_launch_is_refused_by_the_rule_that_it_breaks(rule, door, allow, run, project, shell):
    allow(rule)

    told = door(rule, run=run, project=project, shell=shell)

    assert f"(rule {rule.name})" in told
    assert '"environments": []' in run("list", "--json").stdout or rule.name == "allowed_engines"


#: What an environment has that is there already; the counts are of launches only.
STANDING = [rule for rule in RULES if rule.stands]


@on_processes
@pytest.mark.parametrize("rule", STANDING, ids=str)
def test_neither_old_labels_nor_a_kernelspec_made_by_hand_get_around_a_rule(
    rule, allow, environments, project, run, tmp_path, jp_asyncio_loop
):
    wanted = {"name": "x", "image": "python", **rule.wish}
    wait = jp_asyncio_loop.run_until_complete
    environment = wait(environments.launch(EnvironmentSpec.from_json(wanted)))
    by_hand = json.loads(
        (environments.kernelspecs.directory / "dlenv-x/kernel.json").read_text(encoding="utf-8")
    )
    # What nobody has asked for, in the hope that somebody obeys.
    wishes = {"image": "x", "mounts": ["/:/host"], "privileged": True, "owner": "root"}
    by_hand["metadata"]["kernel_provisioner"]["config"] |= wishes
    directory = tmp_path / "hand"
    (directory / "by-hand").mkdir(parents=True)
    (directory / "by-hand/kernel.json").write_text(json.dumps(by_hand))
    kernelspecs.install(directory, environment)
    allow(rule)

    with pytest.raises(KernelStartError) as provisioned:
        wait(manager_of("by-hand", directory).start_kernel())
    bridged = manager_of("dlenv-x", directory)
    wait(bridged.start_kernel())
    ended = wait(bridged.provisioner.wait())
    wait(bridged.cleanup_resources())

    assert f"(rule {rule.name})" in str(provisioned.value)
    assert 1 == ended
    assert f"(rule {rule.name})" in run("start", "x").stderr
    allow(replace(rule, value=type(rule.value)(rule.unlimited)))
    assert 0 == run("remove", "x", "--yes").returncode


def manager_of(name, directory):
    specs = KernelSpecManager(kernel_dirs=[str(directory)])
    return AsyncIOLoopKernelManager(kernel_name=name, kernel_spec_manager=specs)


#: What a container made by hand may have without saying so in its labels, the rule that it
#: breaks, and the rule's value.
BY_HAND = [
    ("privileged", None, {"privileged": True}),
    ("privileged", None, {"pid_mode": "host"}),
    ("privileged", None, {"network_mode": "host"}),
    ("privileged", None, {"cap_add": ["SYS_ADMIN"]}),
    ("privileged", None, {"devices": ["/dev/mem:/dev/mem"]}),
    ("privileged", None, {"security_opt": ["seccomp=unconfined"]}),
    ("allowed_mounts", ("/data/*",), {"volumes": ["/etc:/host-etc"]}),
    ("allowed_mounts", ("/data/*",), {"mounts": [docker.types.Mount("/x", "/etc", "bind")]}),
    ("allowed_bind_addresses", ("127.*",), {"ports": {"80/tcp": ("0.0.0.0", 7777)}}),
    ("allowed_bind_addresses", ("127.*",), {"ports": {"80/udp": 7777}}),
    ("allowed_host_ports", (7000, 7999), {"ports": {"80/tcp": ("127.0.0.1", 9000)}}),
    ("max_gpus", 1, {"labels": {GPUS: "GPU-00000000,GPU-00000001"}}),
]


@on_docker
def test_labels_that_say_less_than_what_their_container_has_get_around_no_rule(
    open_environments, spec, docker_engine_url, jp_asyncio_loop
):
    wait = jp_asyncio_loop.run_until_complete
    environments = open_environments()
    environment = wait(environments.launch(spec))
    client = docker.DockerClient(base_url=docker_engine_url)
    real = client.containers.get(environment.container_id)
    labels, name = real.labels, real.name
    real.remove(force=True)
    for rule, value, given in BY_HAND:
        policy = Policy(**{rule: value} if value is not None else {})
        strict = open_environments(policy=policy)
        given = {**given, "labels": {**labels, **given.get("labels", {})}}
        trap = client.containers.create(spec.image, ["sleep", "60"], name=name, **given)
        try:
            with pytest.raises(NotAllowedError) as started:
                wait(strict.start("a"))
            with pytest.raises(NotAllowedError) as entered:
                wait(running_environment(strict, "a"))
            assert f"(rule {rule})" in str(started.value)
            assert str(started.value) == str(entered.value)
            trap.reload()
            assert "created" == trap.status
        finally:
            trap.remove(force=True)
    client.volumes.get(home_volume(environments.owner, "a")).remove()
    client.close()


@on_processes
def test_nobody_labels_a_container_as_somebody_elses(engine_name):
    for label in ("org.jupyter-dlenv.owner", "org.jupyter-dlenv.role"):
        with pytest.raises(InvalidSpecError, match="belong to jupyter_dlenv"):
            EnvironmentSpec(name="x", image="python", labels={label: "bob"})


@on_processes
def test_a_link_does_not_lead_out_of_the_mounts_that_are_allowed(engine_name, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to("/etc")
    policy = Policy(allowed_mounts=(f"{allowed}/*",))
    mount = Mount(source=str(allowed / "link"), target="/x")

    with pytest.raises(NotAllowedError, match=r"/etc .*allowed_mounts"):
        policy.check(EnvironmentSpec(name="x", image="python", mounts=(mount,)), [])
