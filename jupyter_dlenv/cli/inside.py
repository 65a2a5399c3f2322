"""The commands that run something inside an environment: exec and shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .arguments import name_argument
from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json

if TYPE_CHECKING:
    from ..environments import Environments

# The profile of a login shell replaces PATH, and with it the image's own Python and tools:
# they are put in front again.
_ENTER = r"""
shell=$(command -v bash || echo /bin/sh)
exec "$shell" -lc 'PATH="$1:$PATH"; export PATH; exec "$0"' "$shell" "$PATH"
"""
_LOGIN_SHELL = ("/bin/sh", "-c", _ENTER)


@click.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--root", is_flag=True, help="Run as root of the environment.")
@click.option("--workdir", default="", help="Directory inside to run in.")
@name_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD...")
@common_options
@pass_invocation
def exec_(
    invocation: Invocation, root: bool, workdir: str, name: str, command: tuple[str, ...]
) -> int:
    r"""Run a command in a running environment.

    Its output and its exit code are passed on.

    \b
    jupyter dlenv exec pytorch -- nvidia-smi
    tar c data | jupyter dlenv exec pytorch -- tar x
    """
    argv = command[1:] if command[:1] == ("--",) else command
    if not argv:
        raise click.UsageError("There is no command to run: exec NAME -- CMD...")
    return _run(invocation, name, argv, as_root=root, workdir=workdir)


@click.command()
@click.option("--root", is_flag=True, help="Be root of the environment.")
@name_argument
@common_options
@pass_invocation
def shell(invocation: Invocation, root: bool, name: str) -> int:
    """Open a login shell in a running environment."""
    if invocation.json:
        raise click.UsageError("A shell is for people: programs use exec.")
    return _run(invocation, name, _LOGIN_SHELL, as_root=root, workdir="")


def _run(
    invocation: Invocation, name: str, argv: tuple[str, ...], *, as_root: bool, workdir: str
) -> int:
    # Imported here: terminals and their modes are of no use to other commands.
    from .relay import Capture, Standard, relay  # noqa: PLC0415

    streams = Capture() if invocation.json else Standard()
    tty = not invocation.json and sys.stdin.isatty() and sys.stdout.isatty()

    async def work(environments: Environments) -> int:
        stream = await environments.open_stream(
            name, argv, tty=tty, as_root=as_root, workdir=workdir
        )
        try:
            return await relay(stream, streams, tty=tty)
        finally:
            await stream.aclose()

    code = invocation.run(work)
    # A process that a signal ended counts as in every shell.
    code = 128 - code if code < 0 else code
    if isinstance(streams, Capture):
        result: dict[str, Any] = {"exit_code": code, **streams.to_json()}
        print_json({"exec": result})
    return code
