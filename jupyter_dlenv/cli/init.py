"""The command that writes a project's dlenv.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..models import Environment, EnvironmentSpec
from ..specfile import FILE_NAME, render
from .arguments import name_for
from .completion import complete_image, complete_name
from .files import write
from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json
from .text import clean

if TYPE_CHECKING:
    from ..environments import Environments

_EXAMPLE = "nvcr.io/nvidia/pytorch:25.10-py3"


@click.command()
@click.argument("image", required=False, shell_complete=complete_image)
@click.option(
    "--from",
    "like",
    metavar="NAME",
    shell_complete=complete_name,
    help="Describe this environment.",
)
@click.option("--name", default="", help="By default that of the directory.")
@click.option("-y", "--yes", is_flag=True, help="Replace a file without asking.")
@common_options
@pass_invocation
def init(invocation: Invocation, image: str | None, like: str | None, name: str, yes: bool) -> None:
    r"""Write a dlenv.toml for the project in this directory.

    It is full of comments.  Without an image it describes a Dockerfile that is here, or
    else an example to change.

    \b
    jupyter dlenv init nvcr.io/nvidia/pytorch:25.10-py3
    jupyter dlenv init --from bert
    """
    if image and like:
        raise click.UsageError("Name an image, or an environment with --from.")
    # As a file that is found says it: without links.
    directory = Path(os.path.realpath(Path.cwd()))
    build = ""
    if like is None:
        if image is None and (directory / "Dockerfile").is_file():
            build = "."
        chosen = name or name_for(directory.name, ())
        spec = EnvironmentSpec(name=chosen, image=image or _EXAMPLE)
    else:
        wanted = like

        async def look(environments: Environments) -> Environment:
            return await environments.get(wanted)

        spec = invocation.run(look).spec
    path = directory / FILE_NAME
    write(path, render(spec, directory=directory, build=build), yes=yes)
    if invocation.json:
        print_json({"path": str(path)})
    else:
        click.echo(f"{clean(str(path))} is written; `jupyter dlenv launch` uses it.")
