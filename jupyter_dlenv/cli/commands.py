"""All commands, and what one of them alone prints: the version."""

from __future__ import annotations

import click

from .._version import __version__
from .completion import completion
from .connect import connect, open_
from .doctor import doctor
from .export import export
from .gpus import gpus
from .images import images, pull
from .init import init
from .inside import exec_, shell
from .invocation import Invocation, common_options, pass_invocation
from .kernelspec import kernelspec
from .launch import launch
from .lifecycle import recreate, remove, restart, start, stop
from .look import list_, logs, show
from .outcome import print_json
from .ports import forward, ports
from .save import save
from .ssh import cp, ssh, ssh_stream
from .ssh_config import ssh_config
from .ssh_proxy import ssh_proxy

_EPILOG = """\b
Exit codes:
  0    done
  1    failure
  2    usage, or a value that cannot be
  3    there is no such environment
  4    the name or the port is taken
  5    the engine cannot be reached or used
  6    the image cannot be had, built or used
  7    the administrator's policy refuses
  8    too few GPUs are free
  130  interrupted, or answered with no
`exec`, `shell` and `ssh` pass on the exit code of what they ran.
"""


class _InOrder(click.Group):
    """Lists its commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click passes it
        return list(self.commands)


@click.group(
    cls=_InOrder,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 90},
)
@common_options
@click.version_option(__version__, package_name="jupyter_dlenv", message="%(package)s %(version)s")
def dlenv() -> None:
    """Launch and use containers with Jupyter kernels in them."""


@click.command()
@common_options
@pass_invocation
def version(invocation: Invocation) -> None:
    """Print the version of jupyter_dlenv."""
    if invocation.json:
        print_json({"version": __version__})
    else:
        click.echo(f"jupyter_dlenv {__version__}")


for _command in (
    *(launch, init, list_, show, start, stop, restart, recreate, remove, logs, exec_, shell),
    *(ports, forward, ssh_proxy),
    *(connect, ssh, cp, open_, ssh_config, ssh_stream),
    *(export, save, images, pull, gpus, doctor, kernelspec, completion, version),
):
    dlenv.add_command(_command)
