"""Every rule of an administrator refuses at every door, and names itself.

The doors of the REST API are in ``tests/server/test_policy_over_rest.py``.
"""

from __future__ import annotations

import json
from dataclasses import replace

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
from jupyter_dlenv.models import EnvironmentSpec, Mount
from jupyter_dlenv.policy import Policy

pytestmark = pytest.mark.parametrize("engine_name", ["process"], indirect=True)


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


@pytest.mark.parametrize("door", [by_cli, by_toml, by_magic, by_script])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_launch_is_refused_by_the_rule_that_it_breaks(rule, door, allow, run, project, shell):
    allow(rule)

    told = door(rule, run=run, project=project, shell=shell)

    assert f"(rule {rule.name})" in told
    assert '"environments": []' in run("list", "--json").stdout or rule.name == "allowed_engines"


#: What an environment has that is there already; the counts are of launches only.
STANDING = [rule for rule in RULES if rule.stands]


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


def test_nobody_labels_a_container_as_somebody_elses(engine_name):
    for label in ("org.jupyter-dlenv.owner", "org.jupyter-dlenv.role"):
        with pytest.raises(InvalidSpecError, match="belong to jupyter_dlenv"):
            EnvironmentSpec(name="x", image="python", labels={label: "bob"})


def test_a_link_does_not_lead_out_of_the_mounts_that_are_allowed(engine_name, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to("/etc")
    policy = Policy(allowed_mounts=(f"{allowed}/*",))
    mount = Mount(source=str(allowed / "link"), target="/x")

    with pytest.raises(NotAllowedError, match=r"/etc .*allowed_mounts"):
        policy.check(EnvironmentSpec(name="x", image="python", mounts=(mount,)), [])
