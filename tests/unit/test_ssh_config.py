"""The user's SSH configuration is never damaged, whatever is in it and whoever else writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_dlenv.access.ssh_config import UserSshConfig
from jupyter_dlenv.errors import SshConfigError

HOST = b"Host other\n  User somebody\nHost *\n  User root\n  Port 99\n"
MATCH = b'Match host foo exec "true"\n  User x\n'
INCLUDED = "Host dlenv-a\n  HostName 127.0.0.1\n  Port 7603\n  User ds\n"


@pytest.fixture
def base(tmp_path):
    directory = tmp_path / "with space" / "ssh"
    (directory / "0123456789").mkdir(parents=True)
    (directory / "0123456789" / "config").write_text(INCLUDED)
    return directory


@pytest.fixture
def path(tmp_path):
    (tmp_path / "home" / ".ssh").mkdir(parents=True, mode=0o700)
    return tmp_path / "home" / ".ssh" / "config"


@pytest.fixture
def config(path, base):
    return UserSshConfig(path, base)


def names(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def what_ssh_reads(path: Path, host: str) -> set[str]:
    command = ["ssh", "-G", "-F", str(path), host]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert not done.returncode, done.stderr
    return {line for line in done.stdout.splitlines() if line.startswith(("user ", "port "))}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HOST, id="after Host"),
        pytest.param(MATCH, id="after Match"),
        pytest.param(HOST.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\n\n# mine\n" + HOST.rstrip(b"\n"), id="no last newline"),
        pytest.param(b"# \xff\xfe not UTF-8\n", id="bytes"),
        pytest.param(b"", id="empty"),
    ],
)
def test_the_block_works_whatever_the_file_has_and_goes_byte_for_byte(config, path, content):
    path.write_bytes(content)
    path.chmod(0o640)
    other = what_ssh_reads(path, "other")

    config.install()
    installed = path.read_bytes()
    again = config.install()

    assert {"user ds", "port 7603"} == what_ssh_reads(path, "dlenv-a")
    assert other == what_ssh_reads(path, "other")
    assert installed.endswith(content)
    assert (b"\r\n" in content) == (b"\r\n" in installed)
    assert not again.changes
    assert config.installed()
    config.uninstall()
    assert content == path.read_bytes()
    assert 0o640 == path.stat().st_mode & 0o777
    assert ["config"] == names(path.parent)


def test_a_file_that_was_not_there_is_not_there_afterwards(config, path):
    config.install()
    made = path.stat().st_mode & 0o777
    config.uninstall()

    assert 0o600 == made
    assert [] == names(path.parent)


def test_a_file_of_ours_that_the_user_has_gone_on_writing_in_stays(config, path):
    config.install()
    path.write_bytes(path.read_bytes() + HOST)

    config.uninstall()

    assert HOST == path.read_bytes()


def test_a_link_stays_a_link(config, path, tmp_path):
    real = tmp_path / "dotfiles"
    real.write_bytes(HOST)
    path.symlink_to(real)

    config.install()
    installed = real.read_bytes()
    config.uninstall()

    assert path.is_symlink()
    assert b"Include" in installed
    assert HOST == real.read_bytes()


def test_two_installations_share_the_block(config, path, tmp_path):
    path.write_bytes(HOST)
    other = UserSshConfig(path, tmp_path / "elsewhere")

    config.install()
    other.install()
    both = path.read_bytes()
    config.uninstall()

    assert (1, 2) == (both.count(b">>> jupyter_dlenv >>>"), both.count(b"Include "))
    assert other.installed()
    assert not config.installed()
    other.uninstall()
    assert HOST == path.read_bytes()


def test_a_read_only_file_is_left_alone(config, path):
    path.write_bytes(HOST)
    path.chmod(0o444)

    with pytest.raises(SshConfigError) as caught:
        config.install()

    assert "read-only" in caught.value.detail
    assert HOST == path.read_bytes()
    assert ["config"] == names(path.parent)


def test_the_change_is_shown_before_it_is_made(config, path):
    path.write_bytes(HOST)

    shown = config.installation().diff()

    assert "+# >>> jupyter_dlenv >>>" in shown
    assert [] == [line for line in shown.splitlines()[2:] if line.startswith("-")]
    assert HOST == path.read_bytes()


EDITOR = """
import sys
from pathlib import Path
from jupyter_dlenv.access.ssh_config import UserSshConfig
config = UserSshConfig(Path(sys.argv[1]), Path(sys.argv[2]))
for _ in range(100):
    config.install()
    assert config.installed()
    config.uninstall()
    assert not config.installed()
"""


def test_two_processes_that_edit_it_a_hundred_times_do_not_damage_it(path, tmp_path):
    path.write_bytes(HOST)
    editors = [
        subprocess.Popen([sys.executable, "-c", EDITOR, str(path), str(tmp_path / name)])
        for name in ("one", "two")
    ]

    seen = set()
    while any(editor.poll() is None for editor in editors):
        seen.add(path.read_bytes())

    assert [0, 0] == [editor.returncode for editor in editors]
    assert all(content.endswith(HOST) for content in seen)
    assert len(seen) > 2
    assert HOST == path.read_bytes()
