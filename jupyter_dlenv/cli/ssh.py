"""The commands that go into an environment by SSH: ssh, cp, and the stream beneath them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from ..errors import SshUnavailableError
from .arguments import name_argument
from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, exit_code

if TYPE_CHECKING:
    from ..access.client import SshTarget
    from ..environments import Environments

_REMOTE = re.compile(r"([a-z0-9][a-z0-9_-]{0,39}):(.*)\Z", re.DOTALL)


@click.command(
    "ssh", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("-A", "agent", is_flag=True, help="Lend it your SSH agent.")
@click.option("-L", "local", multiple=True, metavar="[LOCAL:]PORT", help="Bring a port here.")
@name_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@common_options
@pass_invocation
def ssh(
    invocation: Invocation, agent: bool, local: tuple[str, ...], name: str, command: tuple[str, ...]
) -> int:
    r"""Log in to an environment by SSH, or run a command there.

    Needs nothing in ~/.ssh; passes on the exit code.

    \b
    jupyter dlenv ssh bert
    jupyter dlenv ssh bert -L 6006 -- tensorboard --logdir runs
    """
    if invocation.json:
        raise click.UsageError("SSH is for people: programs use exec.")
    words = command[1:] if command[:1] == ("--",) else command
    target = _target(invocation, name)
    forwards = [option for port in local for option in ("-L", _forward(port))]
    _become("ssh", target, [*(["-A"] if agent else []), *forwards, target.alias, *words])


@click.command()
@click.option("-r", "--recursive", is_flag=True, help="Copy directories.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("destination")
@common_options
@pass_invocation
def cp(invocation: Invocation, recursive: bool, sources: tuple[str, ...], destination: str) -> int:
    r"""Copy files to or from an environment; its side is NAME:PATH.

    \b
    jupyter dlenv cp data.csv bert:
    jupyter dlenv cp -r bert:runs/last .
    """
    if invocation.json:
        raise click.UsageError("cp prints nothing, so there is no JSON of it.")
    names = {m[1] for path in (*sources, destination) if (m := _REMOTE.match(path))}
    if len(names) != 1:
        raise click.UsageError("One side is an environment's: NAME:PATH, such as bert:runs.")
    target = _target(invocation, names.pop())

    def path(text: str) -> str:
        match = _REMOTE.match(text)
        if match:
            return f"{target.alias}:{match[2]}"
        # A local file all the same, if it begins with '-' or has a colon.
        return text if text.startswith(("/", "./", "../")) else f"./{text}"

    options = ["-r"] if recursive else []
    _become("scp", target, [*options, "--", *map(path, sources), path(destination)])


@click.command("ssh-stream", hidden=True)
@click.option("--owner", default="", help="Whose environment it is.")
@name_argument
@common_options
@pass_invocation
def ssh_stream(invocation: Invocation, owner: str, name: str) -> int:
    """Connect standard input and output with the SSH server of an environment."""
    # Imported here: a stream is of no use to other commands.
    from ..reach import open_ssh  # noqa: PLC0415
    from .relay import Standard, relay  # noqa: PLC0415

    async def work(environments: Environments) -> int:
        stream = await open_ssh(environments, name)
        try:
            return await relay(stream, Standard(), tty=False)
        finally:
            await stream.aclose()

    try:
        return invocation.run(work, owner=owner)
    except Interrupted as error:
        # How ssh ends the command beneath it: there is nothing to say.
        return exit_code(error)


def _target(invocation: Invocation, name: str) -> SshTarget:
    # Imported here: what an engine needs is slow to import.
    from ..reach import ssh_target  # noqa: PLC0415

    async def work(environments: Environments) -> SshTarget:
        return await ssh_target(environments, name)

    return invocation.run(work)


def _forward(text: str) -> str:
    match = re.match(r"(?:(\d{1,5}):)?(\d{1,5})\Z", text)
    if match is None:
        raise click.UsageError(f"{text!r} is no port: write -L PORT or -L LOCAL:PORT.")
    return f"127.0.0.1:{match[1] or match[2]}:127.0.0.1:{match[2]}"


def _become(program: str, target: SshTarget, arguments: list[str]) -> NoReturn:
    path = shutil.which(program)
    if path is None:
        raise SshUnavailableError(
            f"There is no {program} on this machine.", hint="Install openssh-client."
        )
    sys.stdout.flush()
    config = str(target.directory / "config")
    os.execv(path, [program, "-F", config, *arguments])  # noqa: S606
