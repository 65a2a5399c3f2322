"""``%dlenv use NAME``: this notebook goes on in the environment's kernel, with its variables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from .. import api
from ..cli.arguments import name_argument
from ..cli.invocation import Invocation, common_options, pass_invocation
from ..cli.text import clean
from ..kernels import portable
from .jupyter_session import NotebookSession

#: What IPython itself keeps among the variables of a notebook.
_ITS_OWN = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})


@click.command("%dlenv use", context_settings={"help_option_names": ["-h", "--help"]})
@name_argument
@click.option(
    "--carry",
    metavar="all|none|a,b",
    help="Variables to take along.  Asked for, unless given.",
)
@click.option("--pickle", "pickled", is_flag=True, help="Take along values of any kind.")
@common_options
@pass_invocation
def use_command(
    invocation: Invocation, name: str, carry: str | None, pickled: bool
) -> Callable[[Any], None]:
    """Move this notebook to the environment's kernel."""

    def move(shell: Any) -> None:
        session = NotebookSession.of_this_kernel()
        handle = api.get(name, engine=invocation.engine)
        values = _chosen(shell, carry, pickled=pickled)
        kernel = session.start_kernel(handle.environment.kernel_name)
        try:
            if values:
                session.carry(kernel, handle.environment, values, pickled=pickled)
        except BaseException:
            session.end_kernel(kernel)
            raise
        taken = f", with {', '.join(sorted(values))}" if values else ""
        print(f"This notebook goes on in {name!r}{taken}.", flush=True)  # noqa: T201
        # The server interrupts this kernel before it ends it.
        with suppress(KeyboardInterrupt):
            session.move_to(kernel)

    return move


def _chosen(shell: Any, carry: str | None, *, pickled: bool) -> dict[str, Any]:
    """Return the variables that go along; what cannot is named."""
    own = {
        name: value
        for name, value in shell.user_ns.items()
        if not name.startswith("_") and name not in _ITS_OWN and name not in shell.user_ns_hidden
    }
    able = {name: value for name, value in own.items() if _can(value, pickled=pickled)}
    if carry is None and able:
        left = f" ({', '.join(sorted(own.keys() - able.keys()))} cannot go)" if own != able else ""
        carry = input(f"Take along {', '.join(sorted(able))}?{left} [all/none/a,b] ").strip()
    if carry == "all":
        return able
    if not carry or carry == "none":
        return {}
    names = [name.strip() for name in carry.split(",")]
    wrong = [name for name in names if name not in own]
    if wrong:
        raise click.UsageError(f"There is no variable {clean(wrong[0])!r} in this notebook.")
    return {name: own[name] for name in names}


def _can(value: Any, *, pickled: bool) -> bool:
    try:
        portable.encode(value, pickled=pickled)
    except Exception:  # noqa: BLE001 whatever a value does when it is pickled
        return False
    return True
