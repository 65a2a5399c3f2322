"""The commands for kernelspecs: where they are, and those for programs without our server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import EnvironmentNotFoundError
from ..models import Environment, validate_name
from .arguments import name_argument
from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json
from .text import clean

if TYPE_CHECKING:
    from ..environments import Environments

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A kernelspec of an environment on disk."""

    name: str
    environment: str
    engine: str
    display_name: str
    path: str
    installed: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "environment": self.environment,
            "engine": self.engine,
            "display_name": self.display_name,
            "path": self.path,
            "installed": self.installed,
        }


def _target_options(command: _Command) -> _Command:
    user = click.option("--user", is_flag=True, help="Your Jupyter data directory.  [default]")
    prefix = click.option(
        "--prefix",
        type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
        help="DIR/share/jupyter instead, such as that of a virtual environment.",
        metavar="DIR",
    )
    sys_prefix = click.option(
        "--sys-prefix", is_flag=True, help="The Python that runs jupyter_dlenv."
    )
    return user(prefix(sys_prefix(command)))


@click.group()
@common_options
def kernelspec() -> None:
    """Find kernelspecs, or install them for other programs.

    A Jupyter server with jupyter_dlenv finds the kernels of all environments by itself.
    Other programs (VS Code, nbclient, papermill, Spyder) need an installed one.
    """


@kernelspec.command("list")
@common_options
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List the kernelspecs of environments, and the installed copies."""
    found = list(_search(Path(invocation.configuration().kernelspecs_dir)))
    if invocation.json:
        print_json({"kernelspecs": [f.to_json() for f in found]})
        return
    if not found:
        click.echo("There are no kernelspecs of environments.")
    for each in found:
        copy = "  (installed)" if each.installed else ""
        click.echo(f"{each.name}  {clean(each.display_name)}\n    {clean(each.path)}{copy}")


@kernelspec.command()
@common_options
@pass_invocation
def path(invocation: Invocation) -> None:
    """Print the directory that a Jupyter server has to look into."""
    directory = invocation.configuration().kernelspecs_dir
    if invocation.json:
        print_json({"path": directory})
    else:
        click.echo(directory)


@kernelspec.command()
@name_argument
@_target_options
@common_options
@pass_invocation
def install(
    invocation: Invocation, name: str, user: bool, prefix: Path | None, sys_prefix: bool
) -> None:
    """Make an environment a kernel of every Jupyter program, with jupyter_dlenv or without."""
    target = _target(user=user, prefix=prefix, sys_prefix=sys_prefix)
    # Imported here: looking for kernelspecs has no need of it.
    from ..kernels import kernelspecs  # noqa: PLC0415

    async def work(environments: Environments) -> Environment:
        return await environments.get(name)

    environment = invocation.run(work)
    try:
        written = kernelspecs.install(target, environment)
    except OSError as error:
        raise _refused("written", target, error) from error
    if invocation.json:
        found = _read(written / "kernel.json", installed=True)
        print_json({"kernelspec": found.to_json() if found else {}})
    else:
        click.echo(f"Installed {environment.kernel_name} in {written}.")


@kernelspec.command()
@name_argument
@_target_options
@common_options
@pass_invocation
def uninstall(
    invocation: Invocation, name: str, user: bool, prefix: Path | None, sys_prefix: bool
) -> None:
    """Remove an installed copy; the environment stays, also in JupyterLab."""
    target = _target(user=user, prefix=prefix, sys_prefix=sys_prefix)
    directory = target / f"dlenv-{validate_name(name)}"
    if _read(directory / "kernel.json", installed=True) is None:
        raise EnvironmentNotFoundError(
            f"No kernelspec of {name!r} is installed in {directory.parent}.",
            hint="See `jupyter dlenv kernelspec list`.",
        )
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise _refused("removed", directory, error) from error
    if invocation.json:
        print_json({"removed": [directory.name]})
    else:
        click.echo(f"Removed {directory}.")


def remove_copies(environment: Environment) -> None:
    """Remove the installed kernelspecs of an environment that is gone, as far as we may."""
    for found in _search():
        if (found.environment, found.engine) == (environment.name, environment.engine):
            shutil.rmtree(found.path, ignore_errors=True)


def _target(*, user: bool, prefix: Path | None, sys_prefix: bool) -> Path:
    if sum((user, prefix is not None, sys_prefix)) > 1:
        raise click.UsageError("Choose one of --user, --prefix and --sys-prefix.")
    if sys_prefix:
        prefix = Path(sys.prefix)
    if prefix:
        return prefix / "share" / "jupyter" / "kernels"
    # Imported here: with a prefix there is no need to ask Jupyter.
    from jupyter_core.paths import jupyter_data_dir  # noqa: PLC0415

    return Path(jupyter_data_dir()) / "kernels"


def _search(ours: Path | None = None) -> Iterator[_Found]:
    """Yield our kernelspecs: those in our own directory, then the installed copies."""
    # Imported here: only looking needs all of Jupyter's path.
    from jupyter_core.paths import jupyter_path  # noqa: PLC0415

    copies = [Path(p) for p in jupyter_path("kernels")]
    for directory in dict.fromkeys([*([ours] if ours else []), *copies]):
        for file in sorted(directory.glob("dlenv-*/kernel.json")):
            if found := _read(file, installed=directory != ours):
                yield found


def _read(file: Path, *, installed: bool) -> _Found | None:
    """Return the kernelspec in a file; ``None`` if it is none of ours."""
    # Imported here: looking at arguments has no need of it.
    from ..kernels.kernelspecs import meaning  # noqa: PLC0415

    found = meaning(file)
    if found is None:
        return None
    environment, engine, spec = found
    return _Found(
        name=file.parent.name,
        environment=environment,
        engine=engine,
        display_name=str(spec.get("display_name", "")),
        path=str(file.parent),
        installed=installed,
    )


def _refused(verb: str, path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"{path} cannot be {verb}: {error.strerror or error}.")
