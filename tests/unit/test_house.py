"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for path in (ROOT / "jupyter_dlenv").rglob("*.py")
    # Written by the build, and packages whose name says it all.
    if path.name != "_version.py" and path.read_text(encoding="utf-8").strip()
)
LONGEST_FILE = 400
#: A list of small equal entries is as easy to read when it is long.
CATALOGUES = frozenset({"jupyter_dlenv/errors.py"})
#: What would tie the repository to the machine that it was written on.
PRIVATE = re.compile(
    r"/[w]ork/(?:main|shared)|/opt/(?:dk28|wheels|pypi)|artifact-?registry|__archiveUrl"
    r"|npmRegistryServer|deb\.debian\.org",
    re.IGNORECASE,
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_says_in_one_sentence_what_it_hides(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    sentence = docstring.split("\n\n")[0]
    assert re.fullmatch(r"[^.!?]\S*(?: \S+|\n\S+)*[.!?]", sentence), sentence or "no docstring"
    assert len(re.findall(r"[.!?](?:\s|$)", sentence)) == 1, sentence


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_file_is_short_enough_to_be_read(module: Path) -> None:
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE or name(module) in CATALOGUES


def test_no_two_test_files_have_one_name() -> None:
    # pytest would collect the first and refuse the whole run because of the second.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_committed_file_names_this_machine_or_a_package_mirror() -> None:
    found = []
    for path in set(committed_files()) - {Path(__file__)}:
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, IsADirectoryError, FileNotFoundError):
            continue
        found += [f"{name(path)}: {match[0]}" for match in PRIVATE.finditer(text)]
    assert not found


def test_the_lock_of_the_front_end_names_no_host() -> None:
    lock = (ROOT / "labextension/yarn.lock").read_text(encoding="utf-8")
    assert not re.findall(r"https?://\S+", lock)


def committed_files() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if listed.returncode:
        pytest.skip("This is not a git checkout.")
    return [ROOT / line for line in listed.stdout.split("\0") if line]
