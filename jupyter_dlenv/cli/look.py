"""The commands that only look at environments: list, show, logs."""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING, Any

import click

from ..errors import EngineError
from ..models import IDLE_EXIT, Environment, PortMapping, Status
from .arguments import name_argument
from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, exit_code, print_json, styled
from .table import print_table
from .text import clean, lasting, since

if TYPE_CHECKING:
    from ..environments import Environments
    from ..kernels.link import IdleTime

    _Seen = tuple[Environment, IdleTime | None]

#: Whoever looks has just used it, as a rule.
_SHOWN_AFTER = 60


@click.command("list")
@common_options
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List your environments."""

    async def work(environments: Environments) -> list[_Seen]:
        # Imported here: programs and most other commands have no need of it.
        from ..idle import idle_times  # noqa: PLC0415

        found = await environments.list()
        idle = await idle_times(found)
        return [(e, idle[e.id]) for e in found]

    found = invocation.run(work)
    if invocation.json:
        print_json({"environments": [_shown(*seen) for seen in found]})
    elif not found:
        click.echo("There are no environments yet: `jupyter dlenv launch IMAGE` makes one.")
    else:
        print_table(
            ("NAME", "STATUS", "IMAGE", "GPUS", "PORTS"),
            [
                (
                    e.name,
                    ", ".join(filter(None, (_status(e), _idle(idle)))),
                    _short(e.spec.image),
                    str(len(e.gpu_uuids)),
                    _ports(e.ports),
                )
                for e, idle in found
            ],
        )


@click.command()
@name_argument
@common_options
@pass_invocation
def show(invocation: Invocation, name: str) -> None:
    """Show all there is to know of an environment."""

    async def work(environments: Environments) -> tuple[_Seen, EngineError | None]:
        # Imported here: programs and most other commands have no need of it.
        from ..gpus.sight import gpu_trouble  # noqa: PLC0415
        from ..idle import idle_time  # noqa: PLC0415

        found = await environments.get(name)
        seen = found, await idle_time(found)
        if invocation.json:
            return seen, None
        return seen, await gpu_trouble(environments.engine, found)

    (environment, idle), trouble = invocation.run(work)
    if invocation.json:
        print_json({"environment": _shown(environment, idle)})
        return
    for key, value in _facts(environment, idle):
        label = click.style(f"{key:<11}", dim=True)
        click.echo(f"{label}{clean(value)}", color=styled(sys.stdout))
    if trouble is not None:
        click.secho(f"{trouble}\n{trouble.hint}", fg="yellow", err=True, color=styled(sys.stderr))


@click.command()
@name_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what will be printed.")
@click.option(
    "--tail", type=click.IntRange(min=0), default=0, metavar="N", help="The last N lines."
)
@common_options
@pass_invocation
def logs(invocation: Invocation, name: str, follow: bool, tail: int) -> int:
    """Print what an environment has printed."""

    async def work(environments: Environments) -> None:
        # A character may lie across two chunks.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        texts = []
        async for chunk in environments.logs(name, follow=follow, tail=tail):
            if not invocation.json:
                _pass_on(chunk, decoder)
            elif follow:
                print_json(_log(name, decoder.decode(chunk)), compact=True)
            else:
                texts.append(decoder.decode(chunk))
        if invocation.json and not follow:
            print_json(_log(name, "".join(texts)))

    try:
        invocation.run(work)
    except Interrupted as error:
        if not follow:
            raise
        # How everybody ends to follow a log: there is nothing to say.
        return exit_code(error)
    return 0


def _pass_on(chunk: bytes, decoder: codecs.IncrementalDecoder) -> None:
    """Print what an environment printed, byte for byte where stdout takes bytes."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(decoder.decode(chunk))
    else:
        binary.write(chunk)
    sys.stdout.flush()


def _log(name: str, text: str) -> dict[str, Any]:
    return {"log": {"name": name, "text": text}}


def _status(environment: Environment) -> str:
    if environment.status is Status.RUNNING:
        return f"running {since(environment.started)}".rstrip()
    if environment.out_of_memory:
        return "stopped (out of memory)"
    if environment.exit_code == IDLE_EXIT:
        return "stopped (not used)"
    if environment.exit_code:
        return f"stopped (exit {environment.exit_code})"
    return str(environment.status.value)


def _short(image: str) -> str:
    """Return an image with at most twelve digits of its digest; `show` has them all."""
    reference, algorithm, digest = image.partition("@sha256:")
    return reference + algorithm + digest[:12]


def _ports(ports: tuple[PortMapping, ...]) -> str:
    return " ".join(
        f"{'' if p.host_ip == '127.0.0.1' else f'{p.host_ip}:'}{p.host_port}->{p.container_port}"
        for p in ports
    )


def _shown(environment: Environment, idle: IdleTime | None) -> dict[str, Any]:
    return {**environment.to_json(), "idle": idle.to_json() if idle else None}


def _idle(idle: IdleTime | None) -> str:
    """Return ``idle 12 min (stops in 48 min)``; empty for what is used."""
    if idle is None or idle.seconds < _SHOWN_AFTER:
        return ""
    end = "" if idle.left is None else f" (stops in {lasting(idle.left)})"
    return f"idle {lasting(idle.seconds)}{end}"


def _idle_stop(environment: Environment) -> str:
    minutes = environment.spec.idle_stop
    return "" if minutes is None else f"after {minutes:g} min" if minutes else "never"


def _facts(environment: Environment, idle: IdleTime | None) -> list[tuple[str, str]]:
    spec = environment.spec
    facts = [
        ("name", environment.name),
        ("status", _status(environment)),
        ("use", _idle(idle)),
        ("idle stop", _idle_stop(environment)),
        ("image", spec.image),
        ("image id", environment.image_id),
        ("gpus", _gpus(environment)),
        ("user", spec.user),
        ("workdir", spec.workdir),
        ("home", environment.home),
        ("/dev/shm", f"{spec.shm_size / 1024**3:g} GiB"),  # noqa: S108 a label
        *(("mount", str(m)) for m in spec.mounts),
        *(("port", _ports((p,))) for p in environment.ports or spec.ports),
        *(("variable", key) for key in spec.env),
        *(("ulimit", str(u)) for u in spec.ulimits),
        ("kernel", environment.kernel_name),
        ("engine", environment.engine),
        ("container", environment.container_id[:12]),
        ("created", environment.created),
    ]
    return [(key, value) for key, value in facts if value]


def _gpus(environment: Environment) -> str:
    spec, uuids = environment.spec, environment.gpu_uuids
    wanted = f"{spec.gpus}{', shared' if spec.shared else ''}"
    return f"{wanted} ({', '.join(uuids)})" if uuids else wanted
