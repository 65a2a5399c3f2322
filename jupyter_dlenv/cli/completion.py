"""What a shell completes: commands, options, and the names that an engine knows."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import get_completion_class, shell_complete

from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json

if TYPE_CHECKING:
    from ..environments import Environments

#: The program that a shell calls while the user is typing.
PROGRAM = "jupyter-dlenv"
COMPLETE_VARIABLE = "_JUPYTER_DLENV_COMPLETE"
#: Nobody waits longer for a suggestion.
_SECONDS = 2.0

# Users type `jupyter dlenv`; click only knows how to complete one program. What completed
# `jupyter` before goes on to do so for its other subcommands.
_VIA_JUPYTER = {
    "bash": """
_jupyter_dlenv_via_jupyter() {
    if [[ ${COMP_WORDS[1]} == dlenv && $COMP_CWORD -gt 1 ]]; then
        local -a COMP_WORDS=(jupyter-dlenv "${COMP_WORDS[@]:2}")
        local COMP_CWORD=$((COMP_CWORD - 1))
        _jupyter_dlenv_completion jupyter-dlenv "$2" "$3"
    elif [[ -n $_jupyter_dlenv_before ]]; then
        "$_jupyter_dlenv_before" "$@"
    fi
}
if ! complete -p jupyter 2>/dev/null | grep -q _jupyter_dlenv_via_jupyter; then
    _jupyter_dlenv_before=$(complete -p jupyter 2>/dev/null | sed -n 's/.* -F \\([^ ]*\\) .*/\\1/p')
    complete -o nosort -o default -F _jupyter_dlenv_via_jupyter jupyter
fi
""",
    "zsh": """
_jupyter_dlenv_via_jupyter() {
    if [[ ${words[2]} == dlenv && $CURRENT -gt 2 ]]; then
        words=(jupyter-dlenv "${(@)words[3,-1]}")
        (( CURRENT-- ))
        _jupyter_dlenv_completion
    elif [[ -n $_jupyter_dlenv_before ]]; then
        $_jupyter_dlenv_before "$@"
    fi
}
if [[ ${_comps[jupyter]:-} != _jupyter_dlenv_via_jupyter ]]; then
    _jupyter_dlenv_before=${_comps[jupyter]:-}
    compdef _jupyter_dlenv_via_jupyter jupyter
fi
""",
    "fish": """
function _jupyter_dlenv_via_jupyter
    set -l words (string replace -r '^\\s*jupyter\\s+dlenv' jupyter-dlenv -- (commandline -cp))
    set -l response (env _JUPYTER_DLENV_COMPLETE=fish_complete COMP_WORDS="$words" \
COMP_CWORD=(commandline -t) jupyter-dlenv)
    for completion in $response
        set -l metadata (string split "," -- $completion)
        switch $metadata[1]
            case dir
                __fish_complete_directories $metadata[2]
            case file
                __fish_complete_path $metadata[2]
            case plain
                echo $metadata[2]
        end
    end
end
complete --no-files --command jupyter --condition '__fish_seen_subcommand_from dlenv' \
--arguments '(_jupyter_dlenv_via_jupyter)'
""",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_VIA_JUPYTER)))
@common_options
@pass_invocation
@click.pass_context
def completion(context: click.Context, invocation: Invocation, shell: str) -> None:
    """Print the completion script of a shell.

    For bash, put this into ~/.bashrc:  eval "$(jupyter dlenv completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    program = kind(context.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE)
    script = program.source_template % program.source_vars() + _VIA_JUPYTER[shell]
    if invocation.json:
        print_json({"completion": {"shell": shell, "script": script}})
    else:
        click.echo(script, nl=False)


def answer_shell(group: click.Group) -> NoReturn:
    """Print the completions that a shell asks for, and end the process at once."""
    # Nothing may appear in the middle of the command line, not even a warning.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    code = shell_complete(
        group, {"obj": Invocation()}, PROGRAM, COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE]
    )
    sys.stdout.flush()
    # A thread may still wait for an engine that does not answer; the user does not.
    os._exit(code)


def complete_name(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of environments that begin so."""
    given = context.params.get("names") or ()

    async def names(environments: Environments) -> list[str]:
        return [e.name for e in await environments.list() if e.name not in given]

    return _beginning(incomplete, _ask(context, names))


def complete_image(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the images on the engine, and the names of recommended ones, that begin so."""

    async def tags(environments: Environments) -> list[str]:
        listing = await environments.library.listing()
        names = [offer.entry.name for offer in listing.offers]
        return [*names, *(tag for image in listing.images for tag in image.tags)]

    return _beginning(incomplete, _ask(context, tags))


def complete_offer(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of recommended images that begin so."""

    async def names(environments: Environments) -> list[str]:
        return [offer.entry.name for offer in (await environments.library.listing()).offers]

    return _beginning(incomplete, _ask(context, names))


def _beginning(incomplete: str, words: list[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _ask(
    context: click.Context, work: Callable[[Environments], Coroutine[Any, Any, list[str]]]
) -> list[str]:
    invocation = context.ensure_object(Invocation)
    found: list[str] = []

    def ask() -> None:
        # Whatever fails, there is just nothing to suggest: the shell shows the command line.
        try:
            found.extend(_alone(invocation, work))
        except Exception:  # noqa: BLE001
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return list(found)


def _alone(
    invocation: Invocation, work: Callable[[Environments], Coroutine[Any, Any, list[str]]]
) -> list[str]:
    """Run the work without the signal handlers, which only a main thread may set."""
    # Imported here: completing a command's name needs no event loop.
    import asyncio  # noqa: PLC0415

    async def ask() -> list[str]:
        return await work(invocation.configuration().open(invocation.engine))

    return asyncio.run(ask())
