"""The commands that show the ports of an environment, and lead ports of this machine to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .arguments import name_argument
from .invocation import Invocation, common_options, pass_invocation
from .outcome import Interrupted, exit_code, print_json, styled
from .table import print_table

if TYPE_CHECKING:
    from ..access.forwards import Forward
    from ..access.port_uses import PortUse
    from ..environments import Environments


@click.command()
@name_argument
@common_options
@pass_invocation
def ports(invocation: Invocation, name: str) -> None:
    """Show an environment's ports: published, forwarded, and in use inside."""

    async def work(environments: Environments) -> tuple[PortUse, ...]:
        # Imported here: what asks for help must not wait for it.
        from ..access.keeper import ask_list  # noqa: PLC0415
        from ..access.relay import Place  # noqa: PLC0415
        from ..errors import NoKeeperError  # noqa: PLC0415
        from ..ports import ports_of  # noqa: PLC0415

        environment = await environments.get(name)
        try:
            forwards = await ask_list(_directory(invocation), Place.of(environment))
        except NoKeeperError:
            forwards = ()
        return await ports_of(environments, environment, forwards)

    uses = invocation.run(work)
    if invocation.json:
        print_json({"ports": [use.to_json() for use in uses]})
    elif not uses:
        click.echo(f"Nothing listens in {name!r}, and no port of it is published or forwarded.")
    else:
        print_table(
            ("PORT", "LISTENING", "PROCESS", "SERVICE", "THIS MACHINE"), [_row(use) for use in uses]
        )


@click.command()
@click.option("--remove", is_flag=True, help="Remove the forwards that lead to PORT.")
@click.option("--foreground", is_flag=True, help="Until Ctrl-C, even where a server would keep it.")
@name_argument
@click.argument("port", type=click.IntRange(1, 65535))
@click.argument("local", type=click.IntRange(1, 65535), required=False)
@common_options
@pass_invocation
def forward(
    invocation: Invocation,
    remove: bool,
    foreground: bool,
    name: str,
    port: int,
    local: int | None,
) -> int:
    r"""Lead a port of this machine to a port inside, whatever it listens on there.

    LOCAL is the same number, or the next one that is free, if it is left out. Your Jupyter
    server keeps the forward until you remove it or the environment, through restarts of both.
    Without a server it lasts until Ctrl-C.

    \b
    jupyter dlenv forward pytorch 6006
    jupyter dlenv forward pytorch 6006 --remove
    """
    if remove and foreground:
        raise click.UsageError("--remove and --foreground exclude each other.")
    if remove:
        _remove(invocation, name, port, local or 0)
        return 0
    if not foreground:
        kept = _ask(invocation, name, port, local or 0)
        if kept is not None:
            _print(invocation, kept, how="kept by your Jupyter server")
            return 0
    return _listen(invocation, name, port, local or 0, no_server=not foreground)


def _ask(invocation: Invocation, name: str, port: int, local: int) -> Forward | None:
    """Return the forward that a server keeps, ``None`` if there is no server."""

    async def work(environments: Environments) -> Forward | None:
        # Imported here for the reason above.
        from ..access.keeper import ask_add  # noqa: PLC0415
        from ..access.relay import Place  # noqa: PLC0415
        from ..errors import NoKeeperError  # noqa: PLC0415

        place = Place.of(await environments.get(name))
        engine_id = (await environments.engine.probe()).id
        directory = _directory(invocation)
        try:
            return await ask_add(directory, place, port, local=local, engine_id=engine_id)
        except NoKeeperError:
            return None

    return invocation.run(work)


def _listen(invocation: Invocation, name: str, port: int, local: int, *, no_server: bool) -> int:
    async def work(environments: Environments) -> None:
        # Imported here for the reason above.
        import asyncio  # noqa: PLC0415

        from ..access.forwards import Forwards  # noqa: PLC0415
        from ..access.relay import Place  # noqa: PLC0415

        place = Place.of(await environments.get(name))
        allowed = invocation.configuration().allowed_host_ports
        forwards = Forwards(environments.relay.connect, records=None, allowed=allowed)
        try:
            added = await forwards.add(place, port, local=local, engine_id="")
            _print(invocation, added, how="until Ctrl-C")
            if no_server and not invocation.json:
                click.echo("No Jupyter server of yours runs here that could keep it.", err=True)
            await asyncio.Event().wait()
        finally:
            await forwards.aclose()

    try:
        invocation.run(work)
    except Interrupted as error:
        # How everybody ends it: there is nothing to say.
        return exit_code(error)
    return 0


def _remove(invocation: Invocation, name: str, port: int, local: int) -> None:
    async def work(environments: Environments) -> list[Forward]:
        # Imported here for the reason above.
        from ..access.forwards import Forwards  # noqa: PLC0415
        from ..access.keeper import Keeper  # noqa: PLC0415
        from ..access.relay import Place  # noqa: PLC0415
        from ..errors import ForwardNotFoundError  # noqa: PLC0415

        place = Place.of(await environments.get(name))
        forwards = Forwards(
            environments.relay.connect,
            records=environments.forward_records,
            allowed=invocation.configuration().allowed_host_ports,
        )
        # Without a server this process is the keeper, for a moment.
        keeper = Keeper(forwards, _directory(invocation))
        try:
            found = [
                f for f in await keeper.list(place) if f.port == port and local in (0, f.local_port)
            ]
            if not found:
                raise ForwardNotFoundError(f"No forward leads to port {port} of {name!r}.")
            for one in found:
                await keeper.remove(place, one.local_port)
            return found
        finally:
            await keeper.aclose()

    removed = invocation.run(work)
    if invocation.json:
        print_json({"removed_forwards": [f.to_json() for f in removed]})
        return
    for one in removed:
        click.echo(f"127.0.0.1:{one.local_port} no longer leads to port {port} of {name!r}.")


def _print(invocation: Invocation, added: Forward, *, how: str) -> None:
    if invocation.json:
        print_json({"forward": added.to_json()})
        return
    local = click.style(f"127.0.0.1:{added.local_port}", bold=True)
    line = f"{local} leads to port {added.port} of {added.environment!r}, {how}."
    click.echo(line, color=styled(sys.stdout))
    sys.stdout.flush()


def _row(use: PortUse) -> tuple[str, ...]:
    where = "loopback" if use.loopback else "all addresses"
    listening = "?" if use.listening is None else where if use.listening else "no"
    ways = [f"{address} (published)" for address in use.published]
    ways += [f"127.0.0.1:{local}" for local in use.forwarded]
    return (str(use.port), listening, use.process, use.service, ", ".join(ways))


def _directory(invocation: Invocation) -> Path:
    return Path(invocation.configuration().runtime_dir)
