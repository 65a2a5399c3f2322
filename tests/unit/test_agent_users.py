"""The agent's user: an entry in /etc/passwd, whatever the image has there, and its source."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from jupyter_dlenv import agent
from jupyter_dlenv.agent.users import add_user

ROOT = "root:x:0:0:root:/root:/bin/bash"
SOURCES = sorted(Path(agent.__file__).parent.glob("*.py"))


@pytest.fixture
def etc(tmp_path):
    directory = tmp_path / "system"
    directory.mkdir()
    (directory / "passwd").write_text(f"{ROOT}\nalice:x:1000:1000::/home/alice:/bin/zsh\n")
    (directory / "group").write_text("root:x:0:\nalice:x:1000:\n")
    return directory


def lines(path):
    return path.read_text().splitlines()


def test_a_user_of_the_image_keeps_their_name_and_gets_the_home(etc):
    add_user(1000, 1000, "bob", "/home/dlenv", etc=str(etc))

    assert [ROOT, "alice:x:1000:1000::/home/dlenv:/bin/zsh"] == lines(etc / "passwd")
    assert ["root:x:0:", "alice:x:1000:"] == lines(etc / "group")


def test_an_unknown_user_and_group_are_added(etc):
    add_user(1234, 1235, "bob", "/home/dlenv", etc=str(etc))

    assert lines(etc / "passwd")[2].startswith("bob:x:1234:1235::/home/dlenv:/bin/")
    assert "bob:x:1235:" == lines(etc / "group")[2]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("alice", "alice2"), ("Bob.Smith", "bob-smith"), ("7of9", "u1234"), ("", "u1234")],
)
def test_a_name_that_is_taken_or_impossible_is_changed(etc, wanted, given):
    add_user(1234, 1234, wanted, "/h", etc=str(etc))

    assert given == lines(etc / "passwd")[2].split(":")[0]


def test_root_gets_the_home_too(etc):
    add_user(0, 0, "root", "/home/dlenv", etc=str(etc))

    assert "root:x:0:0:root:/home/dlenv:/bin/bash" == lines(etc / "passwd")[0]


def test_files_are_made_where_an_image_has_none(tmp_path):
    add_user(1234, 1234, "bob", "/h", etc=str(tmp_path))

    assert 1 == len(lines(tmp_path / "passwd"))
    assert ["bob:x:1234:"] == lines(tmp_path / "group")


def test_a_system_that_cannot_be_written_is_left_as_it_is(tmp_path, capsys):
    add_user(1234, 1234, "bob", "/h", etc=str(tmp_path / "missing"))

    assert "passwd cannot be written" in capsys.readouterr().out


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_agent_is_python_3_8_and_needs_nothing_but_ipykernel(source):
    tree = ast.parse(source.read_text(), feature_version=(3, 8))

    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    assert imported <= sys.stdlib_module_names | {"ipykernel"}
