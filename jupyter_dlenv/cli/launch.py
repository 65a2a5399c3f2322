"""The command that launches an environment and shows how far it is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import LaunchCancelledError
from ..gpu_request import GpuRequest
from ..models import Environment, EnvironmentSpec, PortMapping, Ulimit, parse_size
from .arguments import mount, name_for, public_keys, variables
from .completion import complete_image
from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, print_json
from .text import clean, took

if TYPE_CHECKING:
    from ..environments import Environments
    from ..gpus.line import PlaceInLine


@click.command()
@click.argument("image", required=False, shell_complete=complete_image)
@click.option("--name", default="", help="By default one that is made from the image.")
@click.option(
    "--gpus",
    type=GpuRequest.parse,
    metavar="COUNT|all|device=0,3|UUID",
    help="How many GPUs, or which.  [default: 0]",
)
@click.option("--wait-for-gpus", is_flag=True, help="Wait in line if too few are free.")
@click.option(
    "--share",
    "shared",
    is_flag=True,
    default=None,
    help="Take GPUs that others use, if too few are idle.",
)
@click.option(
    "--mount",
    "mounts",
    type=mount,
    multiple=True,
    metavar="SRC:DST[:ro]",
    help="A directory of this machine to see inside.",
)
@click.option(
    "--no-mount",
    is_flag=True,
    help="Leave out the current directory, which is otherwise mounted at the same path.",
)
@click.option(
    "--publish",
    "ports",
    type=PortMapping.parse,
    multiple=True,
    metavar="[IP:]HOST:CONTAINER",
    help="A port inside to reach from this machine; host port 0 is any free one.",
)
@click.option(
    "--env", "env", multiple=True, metavar="K=V", help="A variable; K alone passes yours on."
)
@click.option(
    "--shm-size",
    type=parse_size,
    metavar="SIZE",
    help="Size of /dev/shm.  [default: 8g]",
)
@click.option("--ulimit", "ulimits", type=Ulimit.parse, multiple=True, metavar="NAME=SOFT[:HARD]")
@click.option(
    "--user",
    metavar="caller|root|UID:GID|image",
    help="Whom new files belong to.  [default: caller]",
)
@click.option(
    "--idle-stop",
    type=click.FloatRange(min=0),
    metavar="MINUTES",
    help="Stop, and free the GPUs, after so long without use; 0 is never.",
)
@click.option("--workdir", help="Where kernels start; by default here.")
@click.option(
    "--authorize",
    "keys",
    multiple=True,
    metavar="FILE|KEY|-",
    help="Let in a public key by SSH, pasted or from a file; `-` reads them.",
)
@click.option(
    "--build",
    "build_dir",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Build the image from the Dockerfile in this directory.",
)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use this file instead of the dlenv.toml here or above.",
)
@click.option(
    "--update-lock", is_flag=True, help="Pin the image in dlenv.lock as its registry has it now."
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@common_options
@pass_invocation
def launch(
    invocation: Invocation,
    /,
    image: str | None,
    name: str,
    wait_for_gpus: bool,
    no_mount: bool,
    env: tuple[str, ...],
    keys: tuple[str, ...],
    build_dir: str | None,
    file: Path | None,
    update_lock: bool,
    quiet: bool,
    **fields: Any,
) -> None:
    r"""Launch an environment from an image, a Dockerfile or the project's dlenv.toml.

    The current directory is mounted at the same path, and kernels start there.  Without
    an image, the dlenv.toml here or above says what is launched, and options change that.

    \b
    jupyter dlenv launch nvcr.io/nvidia/pytorch:25.10-py3 --gpus 2
    jupyter dlenv launch --build . --name mine --publish 6006:6006
    """
    if (image or build_dir) and (file or update_lock):
        raise click.UsageError("--file and --update-lock are for launches without an image.")
    # Imported here: rich is large, and a wrong option must be said at once.
    from .display import open_display, titles  # noqa: PLC0415
    from .project import open_project  # noqa: PLC0415

    configuration = invocation.configuration()
    let_in = public_keys(keys)
    given = {key: value for key, value in fields.items() if value not in (None, ())}
    if env:
        given["env"] = variables(env)
    project = None
    if not image and not build_dir:
        project = open_project(configuration, given, name=name, path=file, update_lock=update_lock)
        if project is None:
            raise click.UsageError(
                "Name an image, or a directory with --build, or write a dlenv.toml: "
                "`jupyter dlenv init`."
            )
        build_dir = project.file.build
        invocation.engine = invocation.engine or project.file.engine
        project.announce()
    directory = project.file.directory if project else Path.cwd()
    # With --build the image only needs a name, for lists.
    source = image or (project.spec.image if project else Path(build_dir or "").name)

    def spec_for(chosen: str) -> EnvironmentSpec:
        spec = (
            EnvironmentSpec(name=chosen, image=image or f"dlenv/build:{chosen}", **given)
            if project is None
            else project.spec
        )
        return spec if no_mount else configuration.with_default_mount(spec, str(directory))

    # What is wrong with the request is said before the engine is asked for anything.
    spec_for(name or name_for(source, ()))
    display = open_display(titles(source, built=bool(build_dir)), quiet=quiet)
    began = time.monotonic()

    async def work(environments: Environments) -> Environment:
        if project is None:
            spec = spec_for(name or name_for(source, {e.name for e in await environments.list()}))
        else:
            spec = replace(spec_for(""), image=(await project.pinned(environments)).image)
        with display:
            launched = await environments.launch(
                spec,
                report=display.report,
                build_dir=build_dir or "",
                line=_place() if wait_for_gpus else None,
                authorize=let_in,
            )
        if project is not None:
            await project.pin(environments, launched.spec.image)
        return launched

    try:
        environment = invocation.run(work, on_interrupt=display.interrupted)
    except Interrupted as error:
        raise LaunchCancelledError("The launch was cancelled.") from error
    if invocation.json:
        print_json({"environment": environment.to_json()})
    else:
        click.echo(_ready(environment, time.monotonic() - began))


def _place() -> PlaceInLine:
    # Imported here: only who waits needs it.
    from ..gpus.line import PlaceInLine  # noqa: PLC0415

    return PlaceInLine()


def _ready(environment: Environment, seconds: float) -> str:
    name = environment.name
    lines = [f"Environment {name!r} is ready ({took(seconds)})."]
    if environment.gpu_uuids:
        lines.append(f"  gpus     {', '.join(environment.gpu_uuids)}")
    lines.append(f"  kernel   {environment.kernel_name}, in JupyterLab's list of kernels")
    lines += [f"  mounted  {clean(str(m))}" for m in environment.spec.mounts]
    lines += [
        f"  port     {p.host_ip}:{p.host_port} -> {p.container_port}" for p in environment.ports
    ]
    lines.append(f"  shell    jupyter dlenv shell {name}")
    return "\n".join(lines)
