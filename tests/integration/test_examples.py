"""The examples in the documentation work as they are written.

A comment before each block of commands says where it runs: ``<!-- example: docker -->``,
``<!-- example: process -->``, or ``<!-- example: not run, REASON -->``.  The blocks of a page
are one story, told in order in one directory.  Output that is shown is compared, and ``...``
stands for anything, as in doctest.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])
#: What the examples launch; where the engine has no such image, one of the tests' stands in.
IMAGE = "quay.io/jupyter/minimal-notebook:latest"
#: What one of them makes.
SAVED = "example/bert:1"

_BLOCK = re.compile(r"(?:<!-- example: (.*?) -->\n)?```console\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Step:
    command: str
    output: str


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return where each block of commands runs, and the block."""
    return [(m[1] or "", m[2]) for m in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def steps(page: Path, engine: str) -> Iterator[Step]:
    for where, block in blocks(page):
        if where == engine:
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.replace("\\\n", "").partition("\n")
                yield Step(command, output)


def pages_with(engine: str) -> list[Path]:
    return [page for page in PAGES if any(where == engine for where, _ in blocks(page))]


def name_of(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_where_it_runs(page: Path) -> None:
    for where, block in blocks(page):
        assert where in ("docker", "process") or where.startswith("not run, "), block


@pytest.mark.parametrize("page", pages_with("process"), ids=name_of)
def test_the_examples_without_docker_work(page: Path, story: Story) -> None:
    story.configure(engine="process")

    story.tell(steps(page, "process"))


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("docker"), ids=name_of)
def test_the_examples_with_docker_work(
    page: Path, story: Story, docker_engine_url: str, image: str
) -> None:
    """Earns its time: these are the first commands that anybody tries."""
    story.configure(engine=docker_engine_url)

    story.tell(steps(page, "docker"))


class Story:
    """Runs commands one after the other, as a user who reads along does."""

    def __init__(self, directory: Path, config_dir: Path, owner: str) -> None:
        self._directory = directory
        self._config_dir = config_dir
        self._owner = owner

    def configure(self, *, engine: str) -> None:
        (self._config_dir / "jupyter_dlenv_config.json").write_text(
            json.dumps({"Configuration": {"engine": engine, "owner": self._owner}})
        )

    def tell(self, story: Iterator[Step]) -> None:
        try:
            for step in story:
                self._run(step)
        finally:
            self._remove_all()

    def _run(self, step: Step) -> None:
        ended = self._shell(step.command)
        assert ended.returncode == 0, f"$ {step.command}\n{ended.stdout}"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if step.output and not doctest.OutputChecker().check_output(
            step.output, ended.stdout, flags
        ):
            pytest.fail(f"$ {step.command}\nexpected:\n{step.output}\ngot:\n{ended.stdout}")

    def _remove_all(self) -> None:
        listed = json.loads(self._shell("jupyter dlenv list --json 2>/dev/null").stdout)
        for environment in listed["environments"]:
            self._shell(f"jupyter dlenv remove --yes {environment['name']}")

    def _shell(self, command: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._directory,
            env={**os.environ, "PATH": path, "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=170,
            check=False,
        )


@pytest.fixture
def story(tmp_path: Path, jp_config_dir: Path, run_id: str) -> Story:
    directory = tmp_path / "project"
    directory.mkdir()
    return Story(directory, jp_config_dir, run_id)


@pytest.fixture
def image(images, docker_engine_url: str) -> Iterator[str]:
    """Make sure that the engine has the image of the examples, and leave it as it was."""
    client = docker.DockerClient(base_url=docker_engine_url)
    try:
        client.images.get(IMAGE)
        yield IMAGE
    except docker.errors.ImageNotFound:
        client.images.get(images.ensure("kernel")).tag(IMAGE)
        yield IMAGE
        client.images.remove(IMAGE)
    finally:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(SAVED, force=True)
        client.close()
