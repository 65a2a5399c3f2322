"""What is typed, and the values that it becomes."""

from __future__ import annotations

import base64
import io

import pytest

from jupyter_dlenv.cli.arguments import mount, name_for, public_keys, variables
from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.models import Mount, validate_name


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nvcr.io/nvidia/pytorch:25.10-py3", "pytorch"),
        ("localhost:5000/team/My.Image@sha256:" + "0" * 64, "my-image"),
        ("python", "python"),
        ("-_-", "environment"),
        ("x" * 100, "x" * 36),
    ],
)
def test_a_name_reminds_of_its_image(image, expected):
    assert expected == validate_name(name_for(image, ()))


def test_a_taken_name_gets_a_number():
    assert name_for("a/pytorch:1", {"pytorch", "pytorch-2"}) == "pytorch-3"


def test_a_relative_mount_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")

    assert mount("data:/data:ro") == Mount(
        source=f"{tmp_path}/data", target="/data", read_only=True
    )
    assert mount("~/data:/data") == Mount(source="/home/me/data", target="/data")


@pytest.mark.parametrize("text", ["", ":/data", "/data", "/a:/b:rx"])
def test_what_is_no_mount_is_refused(text):
    with pytest.raises(InvalidSpecError):
        mount(text)


def test_a_variable_without_a_value_is_passed_on(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")

    assert variables(["A=b=c", "EMPTY=", "WANDB_MODE"]) == {
        "A": "b=c",
        "EMPTY": "",
        "WANDB_MODE": "offline",
    }


def test_a_variable_that_is_not_set_is_refused(monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)

    with pytest.raises(InvalidSpecError, match="WANDB_MODE"):
        variables(["WANDB_MODE"])


def test_public_keys_are_pasted_or_read_from_a_file_or_from_standard_input(tmp_path, monkeypatch):
    keys = [_key(number) for number in range(3)]
    (tmp_path / "two.pub").write_text(f"# mine\n{keys[0]}\n\n{keys[1]}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{keys[2]}\n"))

    assert (keys[0], keys[1], keys[2]) == public_keys([str(tmp_path / "two.pub"), "-"])
    assert (keys[0],) == public_keys([keys[0]])


@pytest.mark.parametrize(
    "text", ["", "no key", 'command="id" ssh-ed25519 AAAA', "-----BEGIN OPENSSH PRIVATE KEY-----"]
)
def test_a_file_without_a_public_key_is_refused(tmp_path, text):
    file = tmp_path / "file"
    file.write_text(text)

    with pytest.raises(InvalidSpecError, match="public"):
        public_keys([str(file)])


def _key(number):
    kind = b"ssh-ed25519"
    data = len(kind).to_bytes(4, "big") + kind + bytes([0, 0, 0, 32]) + bytes([number] * 32)
    return f"ssh-ed25519 {base64.b64encode(data).decode()} me@{number}"
