"""One call of the command line: the engine it means, how it prints, and its way to the engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InvalidSpecError

if TYPE_CHECKING:
    # Imported when a command needs them: --help and usage errors must not wait for Docker.
    from ..configuration import Configuration
    from ..environments import Environments

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(kw_only=True)
class Invocation:
    """What the options that all commands share have said."""

    engine: str = ""
    json: bool = False

    def configuration(self) -> Configuration:
        """Read the configuration.

        Raises:
            InvalidSpecError: A file of it cannot be read, or holds a value that is none.
        """
        # Imported here for the reason above.
        from traitlets import TraitError  # noqa: PLC0415
        from traitlets.config.loader import ConfigError  # noqa: PLC0415

        from ..configuration import Configuration  # noqa: PLC0415

        try:
            return Configuration.load()
        except (TraitError, ConfigError, SyntaxError, ValueError) as error:
            raise InvalidSpecError(
                "The configuration cannot be used.",
                hint="Correct jupyter_dlenv_config.py or .json; "
                "`jupyter --paths` shows where they may be.",
                detail=str(error),
            ) from error

    def run(
        self,
        work: Callable[[Environments], Coroutine[Any, Any, _T]],
        *,
        on_interrupt: Callable[[], None] = lambda: None,
        owner: str = "",
    ) -> _T:
        """Open the environments, do the work, and close them, whatever happens.

        Args:
            work: Is given the environments.
            on_interrupt: Called at the first signal.
            owner: Whose environments, if not the configured one's.

        Raises:
            Interrupted: By a signal, after the work has cleaned up.
        """
        # Imported here for the reason above.
        import asyncio  # noqa: PLC0415

        return asyncio.run(self._run(work, on_interrupt, owner))

    async def _run(
        self,
        work: Callable[[Environments], Coroutine[Any, Any, _T]],
        on_interrupt: Callable[[], None],
        owner: str,
    ) -> _T:
        # Imported here for the reason above.
        from .interrupts import interruptible  # noqa: PLC0415

        configuration = self.configuration()
        if owner:
            configuration.owner = owner
        environments = configuration.open(self.engine)
        try:
            return await interruptible(work(environments), on_interrupt)
        finally:
            await environments.aclose()


def common_options(command: _Command) -> _Command:
    """Give a command the options that may stand before it as well as after it."""
    return _engine(_json(command))


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        setattr(context.ensure_object(Invocation), parameter.name, value)


_engine = click.option(
    "--engine",
    metavar="NAME|URL",
    expose_value=False,
    is_eager=True,
    callback=_remember,
    help="docker, process, a configured name, or a URL. [env var: DLENV_ENGINE]",
)
_json = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember,
    help="Print JSON for programs.",
)

pass_invocation = click.make_pass_decorator(Invocation, ensure=True)
