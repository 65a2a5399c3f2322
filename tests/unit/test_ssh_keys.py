"""Which keys are let in, what is written about them, and that nothing of it stays behind."""

from __future__ import annotations

import base64
import os
import stat

import pytest

from jupyter_dlenv.access.keys import SshKeys
from jupyter_dlenv.access.public_keys import own_public_keys, public_key, without_twins
from jupyter_dlenv.errors import InvalidSpecError, SshUnavailableError
from jupyter_dlenv.launcher import own_identity


def made_up(number: int, kind: str = "ssh-ed25519") -> str:
    blob = (
        len(kind).to_bytes(4, "big") + kind.encode() + bytes([0, 0, 0, 32]) + bytes([number] * 32)
    )
    return f"{kind} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        made_up(1).replace("ssh-ed25519", "ssh-rsa"),
        made_up(1, "ssh-ed25519-cert-v01@openssh.com"),
        f'command="ls" {made_up(1)}',
        f"restrict {made_up(1)}",
        f"{made_up(1)} me\n{made_up(2)} you",
        f"@cert-authority * {made_up(1)}",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_plain_public_key_is_refused(text):
    with pytest.raises(InvalidSpecError):
        public_key(text)


def test_a_key_is_one_clean_line():
    assert f"{made_up(1)} me@laptop" == public_key(f"  {made_up(1)}\t me@\x1blaptop \n")


def test_keys_of_the_user_are_found_and_restricted_ones_are_not(tmp_path):
    (tmp_path / "id_ed25519.pub").write_text(f"{made_up(1)} mine\n")
    (tmp_path / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "damaged.pub").write_bytes(b"\xff\xfe\n")
    (tmp_path / "authorized_keys").write_text(
        f"# {made_up(9)} commented out\n"
        f"{made_up(2)} laptop\n"
        f'command="backup" {made_up(3)} backup\n'
        f"{made_up(4)}\n"
        f'from="10.0.0.*",restrict {made_up(4)} the same, restricted\n'
        f"\n{made_up(1)} mine again\n"
    )

    keys = without_twins(own_public_keys(tmp_path))

    assert (f"{made_up(1)} mine", f"{made_up(2)} laptop") == keys


def test_a_user_without_any_keys_is_no_failure(tmp_path):
    assert () == own_public_keys(tmp_path / "nowhere")


@pytest.fixture
def keys(tmp_path):
    return SshKeys(tmp_path / "ssh")


def test_keys_are_their_owner_s_alone(keys):
    old = os.umask(0)
    try:
        files = keys.of("0123456789")
        files.make(alias="dlenv-a", engine_id="e")
        files.authorize((made_up(1),))
    finally:
        os.umask(old)

    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in files.directory.iterdir()}
    assert 0o700 == stat.S_IMODE(files.directory.stat().st_mode)
    assert {0o600} == {mode for name, mode in modes.items() if not name.endswith(".pub")}
    assert "host_ed25519" in modes
    assert files.read(files.known_hosts).startswith("dlenv-a ssh-ed25519 AAAA")


def test_what_killed_launches_left_is_swept_and_nothing_else(keys):
    for name, engine in (("0123456789", "e"), ("aaaaaaaaaa", "e"), ("bbbbbbbbbb", "other")):
        files = keys.of(name)
        files.make(alias="dlenv-a", engine_id=engine)
        note = (files.directory / "note.json").read_text()
        (files.directory / "note.json").write_text(note.replace(own_identity(), "gone/1/2/3"))
    launching = keys.of("cccccccccc")
    launching.make(alias="dlenv-b", engine_id="e")
    (keys.base / "of somebody else").mkdir()

    keys.sweep({"0123456789"}, engine_id="e")

    left = {directory.name for directory in keys.base.iterdir()}
    assert {"0123456789", "bbbbbbbbbb", "cccccccccc", "of somebody else"} == left


@pytest.mark.parametrize("forged", ["../../.ssh", "", "0123456789/../x", "ABCDEF0123"])
def test_an_id_that_would_lead_elsewhere_is_refused(keys, forged):
    with pytest.raises(SshUnavailableError):
        keys.of(forged)


def test_a_note_whose_user_would_be_more_than_a_word_is_none(keys):
    files = keys.of("0123456789")
    files.make(alias="dlenv-a", engine_id="e")
    note = (files.directory / "note.json").read_text()
    (files.directory / "note.json").write_text(
        note.replace('"user": ""', '"user": "a\\n ProxyCommand x"')
    )

    assert files.note() is None
