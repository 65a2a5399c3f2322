"""SSH as users type it, and where it leaves something: ~/.ssh and the data directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pexpect
import pytest
from rig import ssh

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("ssh", "scp"))), reason="python -m rig.tools ssh"
)

PROGRAM = str(Path(sys.executable).with_name("jupyter-dlenv"))
SCHEMA = json.loads((resources.files("jupyter_dlenv.cli") / "schema.json").read_text())


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker)])
def engine_name(request):
    request.getfixturevalue("docker_engine_url")
    return request.param


@pytest.fixture
def run(engine_name, owner, tmp_path, jp_config_dir, monkeypatch):
    """Return a function that runs a command as a user does, in a directory of their own."""
    values = {
        "engine": engine_name,
        "owner": owner,
        "data_dir": str(tmp_path / "data"),
        "runtime_dir": str(tmp_path / "run"),
    }
    jp_config_dir.joinpath("jupyter_dlenv_config.json").write_text(
        json.dumps({"Configuration": values})
    )
    monkeypatch.chdir(tmp_path)

    def run_one(*words, code=0):
        done = subprocess.run(
            [PROGRAM, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=170
        )
        assert code == done.returncode, (words, done.stdout, done.stderr)
        if "--json" in words:
            result = json.loads(done.stdout)
            jsonschema.validate(result, SCHEMA)
            return result
        return done

    return run_one


@pytest.mark.skipif(os.getuid() != 0, reason="Only root's server needs a directory in /run.")
def test_there_is_ssh_where_the_systems_own_server_never_ran(owner, tmp_path, jp_config_dir):
    values = {"owner": owner, "data_dir": f"{tmp_path}/data", "runtime_dir": f"{tmp_path}/run"}
    config = jp_config_dir / "jupyter_dlenv_config.json"
    config.write_text(json.dumps({"Configuration": {"engine": "process", **values}}))
    launch = f"{PROGRAM} launch python --name a --quiet"
    without_run = ["unshare", "--mount", "sh", "-ec", f"mount -t tmpfs none /run\n{launch}"]

    done = subprocess.run(without_run, capture_output=True, text=True, timeout=60)

    subprocess.run([PROGRAM, "remove", "a", "--yes"], capture_output=True, timeout=60)
    assert (0, "") == (done.returncode, done.stderr)
    assert "No SSH" not in done.stdout


@pytest.fixture
def launched(run, images):
    run("launch", images.ensure("kernel"), "--name", "a", "--quiet")
    yield "a"
    subprocess.run([PROGRAM, "remove", "a", "--yes"], capture_output=True, timeout=60)


def test_the_story_of_a_user(run, launched, isolated_home, tmp_path):
    config = isolated_home / ".ssh" / "config"
    config.parent.mkdir(mode=0o700)
    config.write_text("Host *\n  Port 99\n")
    key = ssh.make_key(tmp_path / "laptop")

    said = run("ssh", "a", "--", "id -un; exit 3", code=3)
    run("cp", "laptop.pub", "a:")
    run("cp", "a:laptop.pub", "back")
    sheet = run("connect", "a", "--authorize", key, "--json")["connection"]
    installed = run("ssh-config", "install", "--yes", "--json")["ssh_config"]
    by_alias = subprocess.run(
        ["ssh", "-F", str(config), "dlenv-a", "cat /run/dlenv/ssh-authorized-keys"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    link = run("open", "a", "--ide", "cursor", "--path", "/my proj", "--print").stdout
    show = run("ssh-config", "show", "a", "--for", "laptop", "--via", "me@gpuhost").stdout
    run("remove", "a", "--yes")
    after = subprocess.run(
        ["ssh", "-G", "-F", str(config), "dlenv-a"], capture_output=True, text=True, timeout=60
    )
    run("ssh-config", "uninstall")

    assert said.stdout.strip()
    assert (tmp_path / "back").read_text().strip() == key
    assert sheet["fields"]["port"] == sheet["ports"][0]["host_port"] > 0
    assert sheet["fields"]["interpreter"] == "/usr/bin/python3"
    assert "PRIVATE" not in json.dumps(sheet)
    assert installed == {"path": str(config), "changed": True}
    assert key in by_alias.stdout, by_alias.stderr
    assert link == "cursor://vscode-remote/ssh-remote+dlenv-a/my%20proj?windowId=_blank\n"
    assert "ProxyJump me@gpuhost" in show
    assert "port 99\n" in after.stdout
    assert config.read_text() == "Host *\n  Port 99\n"
    assert [file for file in (tmp_path / "data" / "ssh").iterdir() if file.is_dir()] == []


def test_a_wrong_key_an_unknown_editor_and_an_impossible_copy_change_nothing(run, launched):
    run("connect", "a", "--authorize", "/no/such/file", code=2)
    run("launch", "any", "--name", "b", "--authorize", "/no/such/file", code=2)
    run("open", "a", "--ide", "emacs", code=2)
    run("cp", "here", "there", code=2)
    run("ssh", "b", code=3)
    refused = run("ssh-config", "install", "--json", code=2)

    assert refused["error"]["code"] == "invalid-spec"
    assert not (Path.home() / ".ssh").exists()


def test_the_change_of_the_user_s_file_is_shown_and_asked_about(run, isolated_home):
    config = isolated_home / ".ssh" / "config"
    child = pexpect.spawn(PROGRAM, ["ssh-config", "install"], encoding="utf-8", timeout=60)
    child.expect(r"\+Include \S+")
    child.expect(r"\[y/N\]")
    child.sendline("n")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 130
    assert not config.exists()


def test_whoever_opens_an_editor_is_offered_to_make_ssh_know_the_environment(
    launched, isolated_home, tmp_path, monkeypatch
):
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{opener.parent}:/usr/bin:/bin")
    child = pexpect.spawn(PROGRAM, ["open", "a", "--ide", "vscode"], encoding="utf-8", timeout=60)
    child.expect(r"\+Include \S+")
    child.expect(r"\[y/N\]")
    child.sendline("y")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0
    assert "Include " in (isolated_home / ".ssh" / "config").read_text()
    assert (
        (tmp_path / "opened").read_text().startswith("vscode://vscode-remote/ssh-remote+dlenv-a/")
    )


def test_where_ssh_is_not_wanted_there_is_none(run, images, jp_config_dir):
    file = jp_config_dir / "jupyter_dlenv_config.json"
    values = json.loads(file.read_text())["Configuration"]
    file.write_text(json.dumps({"Configuration": {**values, "ssh": False}}))

    run("launch", images.ensure("kernel"), "--name", "a", "--quiet")
    try:
        sheet = run("connect", "a", "--json")["connection"]
        refused = run("ssh", "a", code=1)
    finally:
        run("remove", "a", "--yes")

    assert (None, []) == (sheet["fields"], sheet["ports"])
    assert "launched without SSH" in sheet["unavailable"]
    assert "jupyter dlenv shell" in refused.stderr
    assert not Path(values["data_dir"], "ssh").exists()
