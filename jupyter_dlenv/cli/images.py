"""The commands about images: what there is, what one should know of it, and fetching it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ..errors import ImageUnsuitableError, PullCancelledError
from ..models import Phase, Progress
from .completion import complete_image, complete_offer
from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, NotConfirmedError, print_json, styled
from .sheet_facts import sheet_facts
from .table import print_table
from .text import clean, since, size, took

if TYPE_CHECKING:
    from ..engines.base import ImageFacts
    from ..environments import Environments
    from ..images.offers import Listing, TagList
    from ..images.sheet import Sheet

_WIDTH = 12
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@click.command()
@click.option(
    "--tags",
    "repository",
    metavar="REPO",
    shell_complete=complete_offer,
    help="List the tags of a repository, or of a recommended image, newest first.",
)
@common_options
@pass_invocation
def images(invocation: Invocation, repository: str | None) -> None:
    """List the images that need no download, and those that are recommended."""
    if repository:
        _tags(invocation, repository)
        return

    async def work(environments: Environments) -> Listing:
        return await environments.library.listing()

    listing = invocation.run(work)
    if invocation.json:
        print_json(listing.to_json())
        return
    if listing.images:
        print_table(
            ("IMAGE", "SIZE", "CREATED", "ID"),
            [
                (tag, size(i.size), since(i.created), i.id.removeprefix("sha256:")[:12])
                for i in listing.images
                for tag in i.tags
            ],
        )
    else:
        click.echo("The engine has no images yet.")
    if listing.offers:
        click.echo()
        print_table(
            ("RECOMMENDED", "READY", "FOR"),
            [
                (o.entry.name, ", ".join(o.ready[:2]) or "-", o.entry.purpose)
                for o in listing.offers
            ],
        )


def _tags(invocation: Invocation, repository: str) -> None:
    async def work(environments: Environments) -> TagList:
        return await environments.library.tags(repository)

    found = invocation.run(work)
    if invocation.json:
        print_json({"tags": found.to_json()})
        return
    if found.problem:
        click.echo(clean(found.problem), err=True)
    if found.tags:
        ready = dict.fromkeys(found.ready, "yes")
        print_table(
            ("IMAGE", "READY"),
            [(f"{found.repository}:{tag}", ready.get(tag, "")) for tag in found.tags],
        )
    else:
        click.echo(f"No tags of {clean(found.repository)} are known.")


@click.command()
@click.argument("image", shell_complete=complete_image)
@click.option("--dry-run", is_flag=True, help="Only say what it would mean.")
@click.option("-y", "--yes", is_flag=True, help="Fetch it, whatever speaks against it.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@common_options
@pass_invocation
def pull(invocation: Invocation, image: str, dry_run: bool, yes: bool, quiet: bool) -> None:
    r"""Fetch an image, after saying what that means.

    \b
    jupyter dlenv pull pytorch
    jupyter dlenv pull nvcr.io/nvidia/pytorch:25.10-py3 --dry-run
    """
    # Imported here: rich is large, and a wrong option must be said at once.
    from .display import open_display  # noqa: PLC0415

    async def look(environments: Environments) -> Sheet:
        return await environments.library.sheet(image)

    sheet = invocation.run(look)
    if not quiet or dry_run:
        # With --dry-run it is the result; otherwise the result is the image.
        stream = sys.stdout if dry_run else sys.stderr
        if not (invocation.json and dry_run):
            click.echo("\n".join(_sheet(sheet)), file=stream, color=styled(stream))
    if dry_run:
        if invocation.json:
            print_json({"sheet": sheet.to_json()})
        return
    if sheet.refused and not yes:
        _ask(sheet)
    if sheet.here and not sheet.outdated:
        _done(invocation, sheet)
        return
    names = {Phase.PULLING: f"Fetching {clean(sheet.image)}"}
    display = open_display(names, quiet=quiet, cancelling="leaving the rest where it is")
    began = time.monotonic()

    async def work(environments: Environments) -> ImageFacts:
        # Imported here for the reason above.
        from ..obtain import forwarder  # noqa: PLC0415

        def report(progress: Progress) -> None:
            # The sheet has said it.
            display.report(replace(progress, warnings=()))

        with display:
            return await environments.library.fetch(
                sheet.image, forwarder(Phase.PULLING, report), sheet=sheet
            )

    try:
        invocation.run(work, on_interrupt=display.interrupted)
    except Interrupted as error:
        raise PullCancelledError("The pull was cancelled.") from error
    _done(invocation, sheet, f" ({took(time.monotonic() - began)})")


def _done(invocation: Invocation, sheet: Sheet, how: str = "") -> None:
    if invocation.json:
        print_json({"pull": {"image": sheet.image, "fetched": bool(how), "sheet": sheet.to_json()}})
    else:
        click.echo(f"{clean(sheet.image)} is here{how}.")


def _ask(sheet: Sheet) -> None:
    reasons = " ".join(r.text for r in sheet.refused)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = f"`jupyter dlenv pull {sheet.suggestion}` has none of that." * bool(sheet.suggestion)
        raise ImageUnsuitableError(f"{sheet.image} will not work here.", hint=hint, detail=reasons)
    if not click.confirm("Fetch it all the same?", err=True):
        raise NotConfirmedError("Nothing was fetched.")


def _sheet(sheet: Sheet) -> Iterator[str]:
    yield click.style(clean(sheet.image), bold=True)
    for label, text in sheet_facts(sheet):
        yield click.style(f"  {label:<{_WIDTH}}", dim=True) + clean(text)
    for remark in sheet.remarks:
        word = remark.weight.value
        yield click.style(f"  {word:<{_WIDTH}}", fg=_COLOURS[word]) + clean(remark.text)
    if sheet.suggestion:
        yield f"  {'instead':<{_WIDTH}}{clean(sheet.suggestion)} is the newest without that"
