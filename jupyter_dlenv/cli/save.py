"""The command that freezes an environment into an image."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..errors import ImageExistsError, SaveCancelledError
from ..models import Phase
from .arguments import name_argument
from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, NotConfirmedError, print_json
from .text import clean, size

if TYPE_CHECKING:
    from ..environments import Environments
    from ..saving import SavedImage


@click.command()
@name_argument
@click.argument("image", metavar="REPOSITORY:TAG")
@click.option("--push", is_flag=True, help="Give it to its registry, with your `docker login`.")
@click.option("-y", "--yes", is_flag=True, help="Take the name from another image without asking.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@common_options
@pass_invocation
def save(invocation: Invocation, name: str, image: str, push: bool, yes: bool, quiet: bool) -> None:
    r"""Make an image of an environment, with all that was installed.

    Its processes stand still for a moment.  The home directory and mounts are left out, but
    for the packages that pip has put there.

    \b
    jupyter dlenv save bert registry.example.com/team/bert:1 --push
    """
    # Imported here: rich is large, and a wrong option must be said at once.
    from ..saving import save_environment  # noqa: PLC0415
    from .display import open_display  # noqa: PLC0415

    titles = {
        Phase.SAVING: f"Saving {name!r} as {clean(image)}",
        Phase.PUSHING: f"Pushing {clean(image)}",
    }
    display = open_display(titles, quiet=quiet)

    def run(*, replace: bool) -> SavedImage:
        async def work(environments: Environments) -> SavedImage:
            with display:
                return await save_environment(
                    environments, name, image, push=push, replace=replace, report=display.report
                )

        try:
            return invocation.run(work, on_interrupt=display.interrupted)
        except Interrupted as error:
            raise SaveCancelledError("The saving was cancelled.") from error

    try:
        saved = run(replace=yes)
    except ImageExistsError as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        if not click.confirm(f"{error} Take the name from it?", err=True):
            raise NotConfirmedError("Nothing was saved.") from error
        saved = run(replace=True)
    if invocation.json:
        print_json({"saved": saved.to_json()})
        return
    click.echo(f"{clean(saved.image)} is made of {name!r} ({size(saved.size)}).")
    if saved.digest:
        click.echo(f"  pushed as {saved.digest}")
    click.echo(f"  use it:   jupyter dlenv launch {clean(saved.image)}")
    for note in saved.notes:
        click.echo(f"Note: {clean(note)}", err=True)
