"""Lines of ssh that people copy."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from jupyter_dlenv.access.lines import bring_here, browse, lines_for, take_there
from jupyter_dlenv.access.port_uses import PortUse

HOST = "dlenv-bert"


def test_each_port_that_listens_has_its_line_and_the_others_have_none():
    uses = [
        PortUse(port=22, listening=True, service="SSH"),
        PortUse(port=80, listening=True),
        PortUse(port=6006, listening=True, service="TensorBoard?"),
        PortUse(port=9000, listening=False),
    ]

    lines = lines_for(HOST, uses)

    assert [
        "ssh -N -L 8080:localhost:80 dlenv-bert",
        "ssh -N -L 6006:localhost:6006 dlenv-bert",
        "ssh -N -R 8000:localhost:8000 dlenv-bert",
        "ssh -N -D 1080 dlenv-bert",
    ] == [line.command for line in lines]
    assert lines[1].purpose.startswith("TensorBoard (port 6006 of the environment) is at localhost")


def test_where_nothing_listens_an_example_shows_how():
    assert "ssh -N -L 8000:localhost:8000 dlenv-bert" == lines_for(HOST, [])[0].command


@pytest.mark.parametrize("line", lines_for(HOST, [PortUse(port=80, listening=True)]))
def test_a_purpose_is_one_sentence(line):
    assert line.purpose.endswith(".")
    assert ". " not in line.purpose


@pytest.mark.skipif(not shutil.which("ssh"), reason="This machine has no ssh.")
@pytest.mark.parametrize(
    ("line", "understood"),
    [
        (bring_here(HOST, 80), "localforward 8080 [localhost]:80"),
        (take_there(HOST, 5432, inside=15432), "remoteforward 15432 [localhost]:5432"),
        (browse(HOST), "dynamicforward 1080"),
    ],
)
def test_ssh_understands_each_line_as_it_is_meant(line, understood):
    words = shlex.split(line.command)

    said = subprocess.run(
        [words[0], "-G", "-F", "none", *words[1:]], capture_output=True, text=True, check=True
    )

    assert understood in said.stdout
