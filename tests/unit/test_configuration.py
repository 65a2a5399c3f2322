"""What is configured, and what a door adds by default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyter_dlenv.configuration import Configuration
from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.models import EnvironmentSpec, Mount


def spec(**changes):
    return EnvironmentSpec(**{"name": "a", "image": "x", **changes})


def test_a_file_in_jupyters_configuration_directory_is_read(jp_config_dir, jp_environ):
    (jp_config_dir / "jupyter_dlenv_config.py").write_text(
        "c.Configuration.allowed_images = ['corp/*']\nc.Configuration.max_gpus = 2\n"
    )

    loaded = Configuration.load()

    assert (("corp/*",), 2) == (loaded.policy.allowed_images, loaded.policy.max_gpus)


def test_the_configuration_of_a_server_comes_on_top(jp_config_dir, jp_environ):
    (jp_config_dir / "jupyter_dlenv_config.json").write_text(
        '{"Configuration": {"max_gpus": 2, "max_environments": 3}}'
    )

    loaded = Configuration.load(config=Config({"Configuration": {"max_gpus": 4}}))

    assert (4, 3) == (loaded.max_gpus, loaded.max_environments)


async def test_a_named_engine_is_known_by_its_name_and_opened_by_its_address(jp_environ):
    configuration = Configuration(engines={"lab": "unix:///nowhere.sock", "plain": "process"})

    lab, plain = configuration.open("lab"), configuration.open("plain")

    assert ("lab", "unix:///nowhere.sock") == (lab.engine.name, lab.engine.address)
    assert ("plain", "process") == (plain.engine.name, plain.engine.address)
    await lab.aclose()
    await plain.aclose()


def test_nobody_sets_for_themselves_what_an_administrator_has_ruled(
    jp_config_dir, jp_environ, tmp_path, monkeypatch
):
    system = tmp_path / "system"
    system.mkdir()
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_CONFIG_PATH", [str(system)])
    (system / "jupyter_dlenv_config.py").write_text(
        "c.Configuration.max_gpus = 2\nc.Configuration.owner = 'alice'\n"
        "c.Configuration.engine = 'docker'\n"
    )
    (jp_config_dir / "jupyter_dlenv_config.py").write_text(
        "c.Configuration.max_gpus = 64\nc.Configuration.owner = 'bob'\n"
        "c.Configuration.engine = 'process'\nc.Configuration.max_environments = 3\n"
    )

    loaded = Configuration.load(config=Config({"Configuration": {"max_gpus": -1}}))

    assert (2, "alice") == (loaded.max_gpus, loaded.owner)
    assert ("process", 3) == (loaded.engine, loaded.max_environments)


def test_the_users_directory_is_seen_at_the_same_path_and_kernels_start_there(tmp_path):
    made = Configuration().with_default_mount(spec(), str(tmp_path))

    assert (Mount(source=str(tmp_path), target=str(tmp_path)),) == made.mounts
    assert str(tmp_path) == made.workdir


def test_a_directory_that_is_mounted_already_is_not_mounted_twice(tmp_path):
    wanted = spec(mounts=(Mount(source="/data", target=str(tmp_path.parent)),))

    assert wanted == Configuration().with_default_mount(wanted, str(tmp_path))


@pytest.mark.parametrize("directory", ["/", "/home", "/tmp"])
def test_a_whole_system_is_not_handed_over_by_default(directory):
    assert spec() == Configuration().with_default_mount(spec(), directory)


def test_a_runtime_directory_leaves_room_for_the_names_of_sockets(monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "/" + "x" * 100)

    runtime_dir = Configuration().runtime_dir

    assert len(os.fsencode(f"{runtime_dir}/0123456789/s/k-01234567-1")) <= 107


def test_two_owners_never_become_one(tmp_path):
    owners = ["alice", "Alice", "al.ice", "al-ice", "älice"]

    opened = [
        Configuration(owner=owner, engine="process", data_dir=str(tmp_path)).open()
        for owner in owners
    ]

    assert len(owners) == len({environments.owner for environments in opened})


def test_hub_users_are_owners_of_their_own(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_USER", "bob")

    assert "bob" == Configuration().owner


def test_kernelspecs_are_below_the_data_directory(tmp_path):
    loaded = Configuration(data_dir=str(tmp_path))

    assert tmp_path / "kernels" == Path(loaded.kernelspecs_dir)


def test_ssh_keeps_to_the_rules_for_ports_and_to_what_is_switched_off():
    def settings(**changes):
        return Configuration(**changes).ssh_settings

    assert settings(ssh=False) is None
    assert 7603 == settings().first_port
    assert (20000, 30000) == settings(allowed_host_ports=(20000, 30000)).allowed_ports
    assert 0 == settings(allowed_bind_addresses=["10.*"]).first_port
    assert settings(ssh_own_keys=False).own_keys is None
    with pytest.raises(InvalidSpecError):
        settings(ssh_authorized_keys=["ssh-ed25519 nonsense"])
