"""The command line as users and programs meet it: a process of its own, on each engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pexpect
import pytest

PROGRAM = str(Path(sys.executable).with_name("jupyter-dlenv"))
LIMIT = 60


def process(*words, stdin=""):
    """Run a command as a process of its own."""
    return subprocess.run(
        [PROGRAM, *words], input=stdin, capture_output=True, text=True, timeout=LIMIT, check=False
    )


def shell_line(line):
    return subprocess.run(
        ["sh", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def on_terminal(*words):
    terminal = pexpect.spawn(
        PROGRAM, list(words), dimensions=(24, 80), encoding="utf-8", timeout=LIMIT
    )
    terminal.delaybeforesend = None
    return terminal


def end_of(terminal):
    output = terminal.read()
    terminal.close()
    return terminal.exitstatus, output


def test_every_command_keeps_to_the_schema(run_json, image):
    assert run_json("launch", image, "--name", "a")[1]["environment"]["status"] == "running"
    assert run_json("list")[1]["environments"][0]["name"] == "a"
    assert run_json("show", "a")[1]["environment"]["kernel_name"] == "dlenv-a"
    assert run_json("stop", "a")[1]["environments"][0]["status"] == "stopped"
    assert run_json("start", "a")[1]["environments"][0]["status"] == "running"
    assert run_json("restart", "a")[1]["environments"][0]["status"] == "running"
    assert "dlenv-agent" in run_json("logs", "a")[1]["log"]["text"]
    assert "images" in run_json("images")[1]
    assert run_json("kernelspec", "list")[1]["kernelspecs"][0]["environment"] == "a"
    assert run_json("kernelspec", "install", "a")[1]["kernelspec"]["installed"]
    assert run_json("kernelspec", "uninstall", "a")[1]["removed"] == ["dlenv-a"]
    assert "path" in run_json("kernelspec", "path")[1]
    assert "script" in run_json("completion", "bash")[1]["completion"]
    assert "version" in run_json("version")[1]
    assert run_json("remove", "a", "--yes")[1]["removed"] == ["a"]
    assert run_json("show", "a") == (
        3,
        {
            "error": {
                "code": "environment-not-found",
                "message": "There is no environment 'a'.",
                "hint": "See `jupyter dlenv list`.",
                "detail": "",
            }
        },
    )


def test_people_get_short_lines(run, launched, image):
    assert re.fullmatch(rf"NAME +STATUS +.*\na +running \d+ s +{image} +0\n", run("list").stdout)
    assert f"image      {image}\n" in run("show", "a").stdout
    assert "dlenv-agent" in run("logs", "a").stdout
    assert run("logs", "a", "--tail", "1").stdout.count("\n") == 1
    assert run("stop", "a").stdout == "'a' is stopped.\n"
    assert "  stopped" in run("list").stdout
    assert run("start", "a").stdout == "'a' is ready.\n"
    assert run("restart", "a").stdout == "'a' is ready.\n"
    assert "dlenv-a  " in run("kernelspec", "list").stdout
    assert run("remove", "a", "--yes").stdout == "'a' is removed.\n"
    assert "no environments yet" in run("list").stdout


def test_a_launch_without_a_terminal_says_a_line_for_each_phase(run, image):
    done = run("launch", image, "--env", "A=b")

    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "Checking the request …",
        f"Getting the image {image} …",
        "Preparing the image …",
        "Creating the environment …",
        "Starting the environment …",
    ]
    assert done.stdout.startswith(f"Environment {image.rpartition('/')[2]!r} is ready (")
    assert "\x1b" not in done.stdout + done.stderr


def test_a_name_made_from_the_image_is_free(run_json, image):
    first = run_json("launch", image, "--quiet")[1]["environment"]["name"]
    second = run_json("launch", image, "--quiet")[1]["environment"]["name"]

    assert second == f"{first}-2"


def test_the_current_directory_is_mounted_unless_it_is_left_out(run_json, image, project):
    _, mounted = run_json("launch", image, "--name", "a")
    _, bare = run_json("launch", image, "--name", "b", "--no-mount")

    assert mounted["environment"]["mounts"] == [f"{project}:{project}"]
    assert mounted["environment"]["spec"]["workdir"] == str(project)
    assert bare["environment"]["mounts"] == []


def test_commands_run_where_the_files_are(launched, project):
    (project / "file").write_text("here", encoding="utf-8")

    assert process("exec", "a", "--", "cat", "file").stdout == "here"


def test_exec_keeps_streams_apart_and_passes_the_exit_code_on(launched):
    script = "cat; echo err >&2; exit 7"

    done = process("exec", "a", "--", "sh", "-c", script, stdin="in\n")

    assert (done.stdout, done.stderr, done.returncode) == ("in\n", "err\n", 7)


def test_exec_as_json_carries_both_outputs_and_the_exit_code(launched, schema):
    script = "echo out; echo err >&2; exit 3"

    done = process("exec", "--json", "a", "--", "sh", "-c", script)

    jsonschema.validate(json.loads(done.stdout), schema)
    assert json.loads(done.stdout)["exec"] == {"exit_code": 3, "stdout": "out\n", "stderr": "err\n"}
    assert done.returncode == 3


def test_exec_carries_more_than_any_buffer(launched):
    data = "0123456789abcdef" * 200_000

    assert process("exec", "a", "--", "cat", stdin=data).stdout == data


def test_output_that_nobody_reads_ends_quietly(launched):
    done = shell_line(f"{PROGRAM} exec a -- yes | head -1")

    assert (done.stdout, done.stderr) == ("y\n", "")


def test_exec_on_a_stopped_environment_says_how_to_start_it(launched, run):
    run("stop", "a")

    done = run("exec", "a", "--", "true")

    assert done.returncode == 1
    assert "jupyter dlenv start a" in done.stderr


def test_a_shell_has_the_terminal(launched):
    terminal = on_terminal("shell", "a")
    terminal.sendline("stty size")  # typed ahead
    terminal.expect("24 80")
    terminal.setwinsize(40, 132)
    # What it echoes, it may draw anew at the new size: the answer must not be in the question.
    terminal.sendline("until stty size | grep '^40 132'; do sleep 0.1; done; echo si''zed")
    terminal.expect("sized")
    # It answers, so it is there to be interrupted.
    terminal.sendline("echo be''gun; cat")
    terminal.expect("begun")
    terminal.sendline("waiting")
    terminal.expect(r"waiting[\r\n]+waiting")
    terminal.sendintr()
    # What is typed before that, a terminal drops with the interrupt.
    terminal.expect(r"[#$] ")
    terminal.sendline("exit 5")

    assert end_of(terminal)[0] == 5


def test_a_shell_reads_a_script_and_finds_the_programs_of_the_image(launched):
    path = process("exec", "a", "--", "sh", "-c", "echo $PATH").stdout.strip()

    done = process("shell", "a", stdin="cd /\npwd\necho $PATH\nexit 4\n")

    where, login_path = done.stdout.splitlines()
    assert (where, done.returncode) == ("/", 4)
    assert login_path.startswith(path)


def test_a_terminal_is_asked_before_something_is_lost(launched, project, run):
    terminal = on_terminal("remove", "a")
    terminal.expect(r"Remove 'a'\? \[y/N\]")
    asked = terminal.before
    terminal.sendline("n")

    code, output = end_of(terminal)
    assert "home directory" in asked
    assert f"{project} (mounted from this machine)" in asked
    assert "Nothing was removed." in output
    assert code == 130
    assert run("show", "a").returncode == 0


def test_removing_without_a_terminal_needs_yes(launched, run):
    done = process("remove", "a", stdin="y\n")

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert run("show", "a").returncode == 0


def test_a_misspelt_name_changes_nothing(launched, run):
    done = run("remove", "--yes", "a", "aa")

    assert done.returncode == 3
    assert "Did you mean 'a'?" in done.stderr
    assert run("show", "a").returncode == 0


def test_removing_takes_the_installed_kernelspec_along(launched, run, tmp_path):
    run("kernelspec", "install", "a")
    installed = tmp_path / "jupyter" / "kernels" / "dlenv-a"
    assert installed.is_dir()

    run("remove", "--yes", "a")

    assert not installed.exists()


def test_a_name_that_is_taken_is_a_conflict(launched, run_json, image):
    code, result = run_json("launch", image, "--name", "a")

    assert (code, result["error"]["code"]) == (4, "name-taken")


def test_a_launch_on_a_terminal_shows_its_phases(project, image):
    terminal = on_terminal("launch", image, "--name", "a")

    code, output = end_of(terminal)
    assert code == 0
    assert "✓" in output
    assert "Environment 'a' is ready" in output


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_launch_is_cancelled_and_cleaned_up(run_json, image, signum):
    launch = subprocess.Popen(
        [PROGRAM, "launch", image, "--name", "a"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(LIMIT, launch.kill)
    watchdog.start()
    assert any("Starting the environment" in line for line in launch.stderr)

    launch.send_signal(signum)
    _, err = launch.communicate(timeout=LIMIT)
    watchdog.cancel()

    assert launch.returncode == 130
    assert "The launch was cancelled." in err
    assert "Traceback" not in err
    assert run_json("list")[1] == {"environments": []}


def test_following_a_log_ends_with_ctrl_c(launched):
    terminal = on_terminal("logs", "--follow", "a")
    terminal.expect("ready in")
    terminal.sendintr()

    code, output = end_of(terminal)
    assert code == 130
    assert "Traceback" not in output


def test_names_are_completed(launched):
    done = subprocess.run(
        [PROGRAM],
        env={
            **os.environ,
            "_JUPYTER_DLENV_COMPLETE": "bash_complete",
            "COMP_WORDS": "jupyter-dlenv stop ",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )

    assert (done.stdout, done.stderr) == ("plain,a\n", "")
