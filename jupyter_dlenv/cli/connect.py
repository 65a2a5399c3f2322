"""The commands that say how to get into an environment, and those that open it in an editor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from ..errors import InvalidSpecError
from .arguments import name_argument, public_keys
from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json, styled
from .ssh_config import offered
from .text import clean

if TYPE_CHECKING:
    from ..access.connect import ConnectionSheet
    from ..access.ide import IdeLink
    from ..environments import Environments

_IDES = "vscode, insiders, cursor, windsurf, codium, zed, gateway, attach"


@click.command()
@name_argument
@click.option(
    "--authorize",
    "keys",
    multiple=True,
    metavar="FILE|KEY|-",
    help="Let in one more public key, pasted or from a file.",
)
@click.option("--via", default="", metavar="USER@HOST", help="This machine as a laptop calls it.")
@click.option("--url", default="", help="Of the Jupyter server, for machines that have only that.")
@common_options
@pass_invocation
def connect(invocation: Invocation, name: str, keys: tuple[str, ...], via: str, url: str) -> None:
    """Show all ways into an environment: ssh, editors, ports."""
    # Imported here: what an engine needs is slow to import.
    from ..reach import authorize, connection_sheet  # noqa: PLC0415

    pasted = public_keys(keys)

    async def work(environments: Environments) -> ConnectionSheet:
        if pasted:
            await authorize(environments, name, pasted)
        return await connection_sheet(
            environments, name, via=via, url=url, engine=invocation.engine
        )

    sheet = invocation.run(work)
    if invocation.json:
        print_json({"connection": sheet.to_json()})
    else:
        click.echo("\n".join(_lines(sheet)), color=styled(sys.stdout))


@click.command("open")
@name_argument
@click.option("--ide", default="vscode", metavar="IDE", help=f"{_IDES}.  [default: vscode]")
@click.option("--path", default="", metavar="DIR", help="What to open; by default the workdir.")
@click.option("--print", "only_print", is_flag=True, help="Print the link, open nothing.")
@common_options
@pass_invocation
def open_(invocation: Invocation, name: str, ide: str, path: str, only_print: bool) -> None:
    r"""Open an environment in an editor on this machine.

    \b
    jupyter dlenv open bert --ide cursor --path /workspace
    """
    # Imported here: what an engine needs is slow to import.
    from ..access.ide import ide_link  # noqa: PLC0415
    from ..reach import connection_sheet  # noqa: PLC0415

    async def work(environments: Environments) -> ConnectionSheet:
        return await connection_sheet(environments, name, path=path)

    sheet = invocation.run(work)
    if sheet.unavailable:
        raise InvalidSpecError("No editor can be opened: there is no SSH.", hint=sheet.unavailable)
    link = ide_link(sheet.ides, ide)
    if not (invocation.json or sheet.installed or ide == "attach"):
        click.echo(
            f"Editors do not find {sheet.alias} yet: ~/.ssh/config has to include it.", err=True
        )
        if only_print or not offered(invocation):
            click.echo("Run `jupyter dlenv ssh-config install` once.", err=True)
    if invocation.json:
        print_json({"link": link.to_json()})
    elif only_print:
        click.echo(link.url or " ".join(link.command))
    else:
        _open(link)


def _open(link: IdeLink) -> None:
    opener = shutil.which("xdg-open") or shutil.which("open")
    if link.command and shutil.which(link.command[0]):
        command = list(link.command)
    elif opener and link.url:
        command = [opener, link.url]
    else:
        raise InvalidSpecError(
            f"{link.name} cannot be started on this machine.",
            hint=f"Open this where it is installed: {link.url or ' '.join(link.command)}",
        )
    click.echo(link.remark, err=True)
    subprocess.run(command, check=False, timeout=60)


def _lines(sheet: ConnectionSheet) -> list[str]:
    def title(text: str) -> str:
        return click.style(text, bold=True)

    state = "" if sheet.running else "  (stopped: `jupyter dlenv start` first)"
    lines = [f"{title(sheet.name)}{state}"]
    if sheet.unavailable:
        lines += [f"  no SSH: {clean(sheet.unavailable)}"]
    lines += [f"  {line.command:<44}  {line.purpose}" for line in sheet.commands]
    if sheet.fields is not None:
        fields = sheet.fields
        where = f"{fields.host} port {fields.port}" if fields.port else "no port is published"
        lines += [
            "",
            title("For programs that connect by themselves (PyCharm, Gateway)"),
            f"  host         {where}",
            f"  user         {clean(fields.user)}",
            f"  key file     {clean(fields.key_file)}",
            f"  interpreter  {clean(fields.interpreter)}",
            f"  host key     {fields.fingerprint}",
        ]
    for block in sheet.blocks:
        lines += ["", title(block.title), f"  {block.remark}"]
        lines += [f"    {clean(line)}" for line in block.text.splitlines()]
    if sheet.forwards:
        lines += ["", title("Ports")]
        lines += [f"  {line.command:<44}  {line.purpose}" for line in sheet.forwards]
    lines += [
        f"  {p['host_ip']}:{p['host_port']} -> {p['container_port']} {p['service']}".rstrip()
        for p in sheet.ports
    ]
    if sheet.ides:
        lines += ["", title("Editors")]
    for link in sheet.ides:
        lines += [f"  {link.name:<22}  {link.url or '-'}", f"  {'':<22}  {link.remark}"]
    return lines
