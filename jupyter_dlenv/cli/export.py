"""The command that turns an environment into a file for another tool."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .arguments import name_argument
from .files import write
from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json
from .text import clean

if TYPE_CHECKING:
    from ..access.export import Export
    from ..environments import Environments

#: Not imported, since completion and --help must not wait for YAML.
_TARGETS = ("devcontainer", "compose", "docker-run", "dockerfile")


@click.command()
@name_argument
@click.option(
    "--to", "target", type=click.Choice(_TARGETS), required=True, help="The tool that reads it."
)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="DIR|-",
    help="The project that it is for; mounts from within become relative.  [default: stdout]",
)
@click.option("-y", "--yes", is_flag=True, help="Replace a file without asking.")
@common_options
@pass_invocation
def export(invocation: Invocation, name: str, target: str, output: str, yes: bool) -> None:
    r"""Write an environment as a file that starts the same without us.

    \b
    jupyter dlenv export bert --to devcontainer -o .
    jupyter dlenv export bert --to docker-run
    """
    # Imported here: PyYAML and the engine are not needed for --help.
    from ..exporting import export_environment  # noqa: PLC0415

    # As mounts say it: without links.
    project = "" if output == "-" else os.path.realpath(output)

    async def work(environments: Environments) -> Export:
        return await export_environment(environments, name, target, project=project)

    done = invocation.run(work)
    path = Path(project, done.file) if project else None
    if path is not None:
        write(path, done.content, yes=yes)
    if invocation.json:
        print_json({"export": {**done.to_json(), "path": str(path or "")}})
        return
    if path is None:
        # A file or a program gets every byte; a terminal would obey some.
        click.echo(clean(done.content) if sys.stdout.isatty() else done.content, nl=False)
    else:
        click.echo(f"{clean(str(path))} is written.")
    for note in done.notes:
        click.echo(f"Note: {clean(note)}", err=True)
