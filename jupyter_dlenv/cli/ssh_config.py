"""The commands for the user's own SSH configuration: what is added is shown first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..errors import InvalidSpecError, SshConfigError
from .completion import complete_name
from .invocation import Invocation, common_options, pass_invocation
from .outcome import NotConfirmedError, print_json

if TYPE_CHECKING:
    from ..access.ssh_config import Edit, UserSshConfig
    from ..environments import Environments

_PLACES = ("here", "laptop", "jupyter-url", "windows")


@click.group("ssh-config")
@common_options
def ssh_config() -> None:
    """Let ssh, and the editors that use it, find your environments."""


@ssh_config.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common_options
@pass_invocation
def install(invocation: Invocation, yes: bool) -> None:
    """Add one Include at the top of ~/.ssh/config, after showing it."""
    config = _user_config(invocation)
    planned = config.installation()
    if planned.changes and not yes:
        _ask(planned)
    _report(invocation, config.install(), "now knows", "knows")


@ssh_config.command()
@common_options
@pass_invocation
def uninstall(invocation: Invocation) -> None:
    """Take out what install added; the rest stays, byte for byte."""
    _report(invocation, _user_config(invocation).uninstall(), "no longer knows", "does not know")


@ssh_config.command()
@click.argument("name", required=False, shell_complete=complete_name)
@click.option("--for", "place", type=click.Choice(_PLACES), default="here", help="Where it goes.")
@click.option("--via", default="", metavar="USER@HOST", help="This machine as a laptop calls it.")
@click.option("--url", default="", help="Of the Jupyter server, with --for jupyter-url.")
@common_options
@pass_invocation
def show(invocation: Invocation, name: str | None, place: str, via: str, url: str) -> None:
    r"""Print what SSH needs to know of an environment, for a place.

    Without NAME: what install adds to ~/.ssh/config.

    \b
    jupyter dlenv ssh-config show bert --for laptop --via me@gpuhost
    """
    if name is None:
        text = f"{_user_config(invocation).include}\n"
    else:
        text = _block(invocation, name, place, via, url)
    if invocation.json:
        print_json({"ssh_config": {"text": text}})
    else:
        click.echo(text, nl=False)


def offered(invocation: Invocation) -> bool:
    """Offer what ``install`` does, where there is a terminal to ask on; tell if it was done."""
    if not _has_terminal():
        return False
    config = _user_config(invocation)
    try:
        if not _agreed(config.installation()):
            return False
        config.install()
    except SshConfigError as error:
        click.echo(f"{error} {error.hint}", err=True)
        return False
    return True


def _block(invocation: Invocation, name: str, place: str, via: str, url: str) -> str:
    if place == "jupyter-url" and not url:
        raise click.UsageError("Which URL? --url https://…, as the browser has it before /lab.")
    # Imported here: what an engine needs is slow to import.
    from ..access import client  # noqa: PLC0415
    from ..reach import ssh_target  # noqa: PLC0415

    async def work(environments: Environments) -> client.SshTarget:
        return await ssh_target(environments, name)

    target = invocation.run(work)
    if place == "laptop":
        return client.laptop_block(target, via=via)
    if place == "windows":
        return client.windows_block(target, via=via)
    return client.url_block(target, url=url) if url else client.host_block(target)


def _user_config(invocation: Invocation) -> UserSshConfig:
    # Imported here: what an engine needs is slow to import.
    from ..reach import user_ssh_config  # noqa: PLC0415

    async def work(environments: Environments) -> UserSshConfig:
        return user_ssh_config(environments)

    return invocation.run(work)


def _ask(planned: Edit) -> None:
    if not _has_terminal():
        raise InvalidSpecError(
            "There is no terminal to ask on: changing ~/.ssh/config needs --yes.",
            hint="`jupyter dlenv ssh-config show` prints what would be added.",
        )
    if not _agreed(planned):
        raise NotConfirmedError("Nothing was changed.")


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agreed(planned: Edit) -> bool:
    click.echo(planned.diff(), err=True)
    return click.confirm(f"Change {planned.path}?", err=True)


def _report(invocation: Invocation, edit: Edit, changed: str, unchanged: str) -> None:
    if invocation.json:
        print_json({"ssh_config": {"path": str(edit.path), "changed": edit.changes}})
    else:
        click.echo(f"{edit.path} {changed if edit.changes else unchanged} your environments.")
