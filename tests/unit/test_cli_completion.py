"""What happens when a user presses the tab key."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_dlenv.cli import main

BIN = Path(sys.executable).parent
LIMIT = 60


@pytest.fixture
def on_path(monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def script(capfd):
    """Return a function that prints the completion script of a shell."""

    def script_of(shell):
        assert main(["completion", shell]) == 0
        return capfd.readouterr().out

    return script_of


# The function that `complete` would call, called as bash calls it.
PRESS_TAB = r"""
completer=$(complete -p "${COMP_WORDS[0]}" | sed 's/.* -F \([^ ]*\) .*/\1/')
"$completer" "${COMP_WORDS[0]}" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def press_tab_in_bash(script, *words, before=""):
    """Return what bash would offer after the words, the last of which is being typed."""
    typed = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}"
    done = subprocess.run(
        ["bash", "-c", f"{before}\n{script}\n{typed}\n{PRESS_TAB}"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("program", [["jupyter-dlenv"], ["jupyter", "dlenv"]])
def test_bash_completes_commands(on_path, script, program):
    assert press_tab_in_bash(script("bash"), *program, "st") == ["start", "stop"]


def test_bash_completes_options(on_path, script):
    found = press_tab_in_bash(script("bash"), "jupyter", "dlenv", "launch", "--sh")

    assert found == ["--share", "--shm-size"]


def test_bash_goes_on_to_complete_the_rest_of_jupyter(on_path, script):
    before = "_theirs() { COMPREPLY=(notebook); }; complete -F _theirs jupyter"

    # Sourced twice, as when ~/.bashrc is read again.
    twice = script("bash") * 2
    assert press_tab_in_bash(twice, "jupyter", "note", before=before) == ["notebook"]
    assert press_tab_in_bash(twice, "jupyter", "dlenv", "sh", before=before) == ["show", "shell"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_can_read_their_script(script, shell):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"There is no {shell} here.")

    done = subprocess.run(
        [program, "-n"], input=script(shell), capture_output=True, text=True, timeout=LIMIT
    )

    assert (done.returncode, done.stderr) == (0, "")


def complete_name(engine):
    """Return what is offered for a name, and how long that took."""
    began = time.monotonic()
    done = subprocess.run(
        [BIN / "jupyter-dlenv"],
        env={
            **os.environ,
            "_JUPYTER_DLENV_COMPLETE": "bash_complete",
            "COMP_WORDS": f"jupyter-dlenv --engine {engine} stop ",
            "COMP_CWORD": "4",
        },
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return done.stdout + done.stderr, time.monotonic() - began


def test_an_engine_that_is_not_there_completes_nothing_and_says_nothing(tmp_path):
    assert complete_name(f"unix://{tmp_path}/none.sock")[0] == "\n"


def test_an_engine_that_is_silent_is_not_waited_for(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()

        offered, seconds = complete_name(f"unix://{tmp_path}/silent.sock")

    assert offered == "\n"
    # Two seconds, and the start of a program on a busy machine.
    assert seconds < 10
