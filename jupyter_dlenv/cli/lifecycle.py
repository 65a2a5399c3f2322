"""The commands that start, stop and remove environments; what is lost is asked about first."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..gpu_request import GpuRequest
from ..models import Environment, Status
from .arguments import name_argument, names_argument
from .invocation import Invocation, common_options, pass_invocation
from .kernelspec import remove_copies
from .outcome import NotConfirmedError, print_json, styled
from .text import clean

if TYPE_CHECKING:
    from ..environments import Environments


@click.command()
@names_argument
@common_options
@pass_invocation
def start(invocation: Invocation, names: tuple[str, ...]) -> None:
    """Start environments."""
    _change(invocation, names, lambda e, name: e.start(name), ("Starting", "is ready"))


@click.command()
@names_argument
@common_options
@pass_invocation
def stop(invocation: Invocation, names: tuple[str, ...]) -> None:
    """Stop environments; their files stay."""
    _change(invocation, names, lambda e, name: e.stop(name), ("Stopping", "is stopped"))


@click.command()
@names_argument
@common_options
@pass_invocation
def restart(invocation: Invocation, names: tuple[str, ...]) -> None:
    """Stop environments and start them again."""
    _change(invocation, names, lambda e, name: e.restart(name), ("Restarting", "is ready"))


@click.command()
@name_argument
@click.option(
    "--gpus",
    type=GpuRequest.parse,
    metavar="COUNT|all|device=0,3|UUID",
    help="By default as many as before, whichever are free.",
)
@click.option("--share/--no-share", default=None, help="By default as before.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common_options
@pass_invocation
def recreate(
    invocation: Invocation, name: str, gpus: GpuRequest | None, share: bool | None, yes: bool
) -> None:
    """Give an environment other GPUs; its home directory and mounts stay."""

    async def look(environments: Environments) -> Environment:
        return await environments.get(name)

    async def work(environments: Environments) -> Environment:
        with _busy(f"Re-creating {name!r}"):
            return await environments.recreate(name, gpus=gpus, shared=share)

    if not yes:
        _confirm_recreation(invocation.run(look))
    environment = invocation.run(work)
    if invocation.json:
        print_json({"environment": environment.to_json()})
    else:
        click.echo(f"{name!r} is ready, with {_gpus_of(environment)}.")


@click.command()
@names_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common_options
@pass_invocation
def remove(invocation: Invocation, names: tuple[str, ...], yes: bool) -> None:
    """Remove environments, with all that was installed in them."""

    async def look(environments: Environments) -> tuple[Environment, ...]:
        return await _all(environments, names)

    async def work(environments: Environments) -> None:
        for environment in found:
            with _busy(f"Removing {environment.name!r}"):
                await environments.remove(environment.name)
            remove_copies(environment)
            if not invocation.json:
                click.echo(f"{environment.name!r} is removed.")

    found = invocation.run(look)
    if not yes:
        _confirm(found)
    invocation.run(work)
    if invocation.json:
        print_json({"removed": [e.name for e in found]})


def _change(
    invocation: Invocation,
    names: tuple[str, ...],
    step: Callable[[Environments, str], Awaitable[Environment]],
    words: tuple[str, str],
) -> None:
    doing, done = words

    async def work(environments: Environments) -> list[Environment]:
        changed = []
        for environment in await _all(environments, names):
            with _busy(f"{doing} {environment.name!r}"):
                changed.append(await step(environments, environment.name))
            if not invocation.json:
                click.echo(f"{environment.name!r} {done}.")
        return changed

    changed = invocation.run(work)
    if invocation.json:
        print_json({"environments": [e.to_json() for e in changed]})


async def _all(environments: Environments, names: tuple[str, ...]) -> tuple[Environment, ...]:
    """Return all that were named, so that a misspelt name changes nothing."""
    return tuple([await environments.get(name) for name in dict.fromkeys(names)])


def _confirm(doomed: tuple[Environment, ...]) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("There is no terminal to ask on: removing needs --yes.")
    for environment in doomed:
        click.echo(_loss(environment), err=True, color=styled(sys.stderr))
    what = repr(doomed[0].name) if len(doomed) == 1 else f"these {len(doomed)} environments"
    if not click.confirm(f"Remove {what}?", err=True):
        raise NotConfirmedError("Nothing was removed.")


def _confirm_recreation(environment: Environment) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("There is no terminal to ask on: re-creating needs --yes.")
    kernels = ", and its kernels" if environment.status is Status.RUNNING else ""
    lines = [
        click.style(environment.name, bold=True),
        f"  lost:   what was changed outside of its home and mounts{kernels}",
        f"  stays:  its home directory {clean(environment.home)}",
        *(f"          {clean(m.source)}" for m in environment.spec.mounts),
    ]
    click.echo("\n".join(lines), err=True, color=styled(sys.stderr))
    if not click.confirm(f"Re-create {environment.name!r}?", err=True):
        raise NotConfirmedError("Nothing was changed.")


def _gpus_of(environment: Environment) -> str:
    return ", ".join(environment.gpu_uuids) or "no GPU"


def _loss(environment: Environment) -> str:
    running = (
        ", and its kernels with their variables" if environment.status is Status.RUNNING else ""
    )
    mounts = [clean(m.source) for m in environment.spec.mounts if not m.read_only]
    stays = [*(f"{m} (mounted from this machine)" for m in mounts), "the image"]
    return "\n".join(
        [
            click.style(environment.name, bold=True),
            f"  lost:   its container{running}",
            f"          its home directory {clean(environment.home)}, with all that was installed",
            f"          its kernelspec {environment.kernel_name}",
            *(f"{'  stays:' if i == 0 else '':<10}{kept}" for i, kept in enumerate(stays)),
        ]
    )


@contextmanager
def _busy(doing: str) -> Iterator[None]:
    """Show on a terminal that something is under way."""
    if not sys.stderr.isatty():
        yield
        return
    # Imported here: rich is large, and most calls have no need of it.
    from .display import spinner  # noqa: PLC0415

    with spinner(doing):
        yield
