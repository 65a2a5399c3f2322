"""How commands end: codes, errors for people, errors for programs."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jupyter_dlenv import errors
from jupyter_dlenv.cli import main
from jupyter_dlenv.cli.outcome import Interrupted, exit_code, print_error

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}
ALL_ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.DlenvError)
]


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_has_a_documented_exit_code(kind):
    assert exit_code(kind("It failed.")) in DOCUMENTED - {0}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidNameError(""), 2),
        (errors.EnvironmentNotFoundError(""), 3),
        (errors.PortTakenError(""), 4),
        (errors.EnginePermissionError(""), 5),
        (errors.BuildFailedError(""), 6),
        (errors.NotAllowedError(""), 7),
        (errors.NoFreeGpuError(""), 8),
        (errors.LaunchCancelledError(""), 130),
        (errors.AgentUnreachableError(""), 1),
        (Interrupted(signal.SIGTERM), 143),
        (click.Abort(), 130),
    ],
)
def test_exit_codes_mean_something(error, expected):
    assert expected == exit_code(error)


def test_the_exit_codes_of_the_docs_are_those_of_the_help(capfd):
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()

    main(["--help"])

    assert DOCUMENTED == {int(x) for x in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert DOCUMENTED == {
        int(x) for x in re.findall(r"^ +(\d+) ", capfd.readouterr().out, re.MULTILINE)
    }


def test_an_error_says_what_failed_what_to_try_and_the_engines_words(capfd):
    error = errors.PortTakenError("Port 80 is in use.", detail="bind: address in use\nline two")

    print_error(error, as_json=False)

    assert capfd.readouterr().err.splitlines() == [
        "Error: Port 80 is in use.",
        "       Publish another host port, or 0 to take any free one.",
        "  bind: address in use",
        "  line two",
    ]


def test_an_error_for_a_program_is_on_stdout(capfd):
    error = errors.PortTakenError("Port 80 is in use.", detail="bind")

    print_error(error, as_json=True)

    out, err = capfd.readouterr()
    assert json.loads(out) == {"error": error.to_json()}
    assert err == ""


def test_an_engines_words_cannot_steer_the_terminal(capfd):
    error = errors.EngineError("\x1b[2Jbad\r", detail="\x1b]0;title\x07\x9b31mred\ttab")

    print_error(error, as_json=False)

    assert "Error: bad\n" in capfd.readouterr().err
    print_error(error, as_json=False)
    assert not set("\x1b\r\x07\x9b") & set(capfd.readouterr().err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["launch", "x", "--gpu", "2"], "Did you mean '--gpus'?"),
        (["launch"], "Name an image"),
        (["exec", "a"], "There is no command to run"),
        (["shell", "a", "--json"], "A shell is for people"),
    ],
)
def test_wrong_usage_is_explained(words, message, capfd):
    code = main(words)

    out, err = capfd.readouterr()
    assert code == 2
    assert message in out + err
    assert "--help" in out + err


def test_wrong_usage_is_json_where_it_was_asked_for(capfd):
    code = main(["launch", "x", "--gpu", "2", "--json"])

    assert code == 2
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "usage"


def test_a_json_option_of_the_command_that_is_run_is_not_ours(capfd):
    code = main(["exec", "--nope", "a", "--", "program", "--json"])

    assert code == 2
    assert capfd.readouterr().out == ""


def test_options_that_all_commands_share_stand_before_or_after(capfd):
    assert main(["--json", "version"]) == 0
    before = capfd.readouterr().out
    assert main(["version", "--json"]) == 0

    assert before == capfd.readouterr().out
    assert json.loads(before)["version"]


@pytest.mark.parametrize("place", [["--engine", "nope", "list"], ["list", "--engine", "nope"]])
def test_an_unknown_engine_is_a_wrong_value(place, capfd):
    assert main(place) == 2
    assert "There is no engine 'nope'." in capfd.readouterr().err


def test_the_engine_of_the_environment_is_used(monkeypatch, capfd):
    monkeypatch.setenv("DLENV_ENGINE", "nowhere")

    assert main(["list"]) == 2
    assert "'nowhere'" in capfd.readouterr().err


def test_an_engine_that_does_not_answer_is_said(tmp_path, capfd):
    assert main(["--engine", f"unix://{tmp_path}/none.sock", "list"]) == 5
    assert "No engine answers" in capfd.readouterr().err


def test_a_configuration_that_cannot_be_read_is_said(monkeypatch, tmp_path, capfd):
    (tmp_path / "jupyter_dlenv_config.json").write_text(
        '{"Configuration": {"max_gpus": "many"}}', encoding="utf-8"
    )
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))

    assert main(["list"]) == 2
    assert "max_gpus" in capfd.readouterr().err


def test_help_does_not_load_what_it_does_not_need():
    script = (
        "import sys; from jupyter_dlenv.cli import main; main(['--help']);"
        "print({'docker', 'rich', 'traitlets', 'asyncio', 'requests'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.splitlines()[-1] == "set()"
