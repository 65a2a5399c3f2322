"""``%%dlenv NAME``: a cell that runs in an environment, whose kernel lives on between cells."""

from __future__ import annotations

import getpass
import shlex
from dataclasses import dataclass
from typing import Any

import click

from .. import api
from ..cli.arguments import name_argument
from ..cli.invocation import Invocation, common_options, pass_invocation
from ..errors import NotCarriedError
from .outputs import OutputsOfACell
from .sentences import sentences, show_as


def _names(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    for name in names:
        if not name.isidentifier():
            raise click.BadParameter(f"{name!r} is not the name of a variable.")
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the first line of a cell says."""

    name: str
    engine: str
    inputs: list[str]
    outputs: list[str]
    pickled: bool
    restart: bool


@click.command("%%dlenv", context_settings={"help_option_names": ["-h", "--help"]})
@name_argument
@click.option("--in", "inputs", multiple=True, callback=_names, metavar="a,b")
@click.option("--out", "outputs", multiple=True, callback=_names, metavar="x,y")
@click.option("--pickle", "pickled", is_flag=True, help="Carry anything; trusts the environment.")
@click.option("--restart", is_flag=True, help="Begin with a new kernel.")
@common_options
@pass_invocation
def cell_command(
    invocation: Invocation,
    name: str,
    inputs: list[str],
    outputs: list[str],
    pickled: bool,
    restart: bool,
) -> Wanted:
    """Run the cell in an environment.

    Variables that are named with --in are set there before, and those with --out fetched after.
    """
    return Wanted(
        name=name,
        engine=invocation.engine,
        inputs=inputs,
        outputs=outputs,
        pickled=pickled,
        restart=restart,
    )


class Cells:
    """The cells of one notebook that run elsewhere."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._handles: dict[tuple[str, str], api.EnvironmentHandle] = {}
        self._read: dict[str, Wanted] = {}

    def run(self, line: str, cell: str) -> None:
        """Run this cell in an environment: %%dlenv NAME [--in a,b] [--out x,y]."""
        with sentences():
            # A cell is run again and again, and reading its line takes a tenth of an empty one.
            wanted = self._read.get(line)
            if wanted is None:
                words = shlex.split(line)
                wanted = cell_command.main(words, standalone_mode=False, obj=Invocation())
            # Not so after --help.
            if isinstance(wanted, Wanted):
                self._read[line] = wanted
                self._run(cell, wanted)

    def forget(self, name: str) -> None:
        """End the kernels of an environment that is to be stopped or removed."""
        for key in [key for key in self._handles if key[1] == name]:
            self._handles.pop(key).close()

    def _run(self, cell: str, wanted: Wanted) -> None:
        handle = self._handle(wanted.name, wanted.engine)
        if wanted.restart:
            handle.close()
        shown = OutputsOfACell(self._shell)
        try:
            result = handle.run(
                cell,
                inputs=self._values(wanted.inputs),
                outputs=wanted.outputs,
                pickled=wanted.pickled,
                hear=shown.hear,
                answer=_answer,
            )
        except KeyboardInterrupt as error:
            if shown.traceback:
                show_as(error, shown.traceback)
            raise
        self._shell.push(result.variables)

    def _handle(self, name: str, engine: str) -> api.EnvironmentHandle:
        if (engine, name) not in self._handles:
            self._handles[engine, name] = api.get(name, engine=engine)
        return self._handles[engine, name]

    def _values(self, names: list[str]) -> dict[str, Any]:
        missing = [name for name in names if name not in self._shell.user_ns]
        if missing:
            raise NotCarriedError(
                f"There is no variable {missing[0]!r} in this notebook.",
                hint="Correct --in, or set it first.",
            )
        return {name: self._shell.user_ns[name] for name in names}


def _answer(prompt: str, password: bool) -> str:
    # Replaced by the notebook's own, which ask in the page.
    return getpass.getpass(prompt) if password else input(prompt)
