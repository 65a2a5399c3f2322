"""How a command ends: its exit code, and the error for people or for programs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from .. import errors
from .text import clean

#: The first class that fits decides; everything else on purpose is a 1.
_EXIT_CODES: tuple[tuple[type[errors.DlenvError], int], ...] = (
    (errors.InvalidSpecError, 2),
    (errors.UnknownEngineError, 2),
    (errors.MountMissingError, 2),
    (errors.EnvironmentNotFoundError, 3),
    (errors.ContainerNotFoundError, 3),
    (errors.NameTakenError, 4),
    (errors.ContainerNameTakenError, 4),
    (errors.PortTakenError, 4),
    (errors.ImageExistsError, 4),
    (errors.LocalPortTakenError, 4),
    (errors.EngineUnreachableError, 5),
    (errors.EnginePermissionError, 5),
    (errors.EngineTimeoutError, 5),
    (errors.EngineTooOldError, 5),
    (errors.ImageError, 6),
    (errors.NotAllowedError, 7),
    (errors.NoFreeGpuError, 8),
    (errors.LaunchCancelledError, 130),
    (errors.PullCancelledError, 130),
    (errors.SaveCancelledError, 130),
)
_USAGE = 2
_CANCELLED = 130
_OUTPUT_GONE = 141  # what a shell reports for SIGPIPE


class Interrupted(Exception):
    """The work was cancelled by a signal, and has cleaned up."""

    def __init__(self, signum: int) -> None:
        super().__init__("Interrupted.")
        self.signum = signum


class NotConfirmedError(errors.DlenvError):
    """The user answered no."""

    code = "not-confirmed"
    default_hint = ""


def exit_code(error: BaseException) -> int:
    """Return the documented exit code of an error."""
    if isinstance(error, Interrupted):
        return 128 + error.signum
    if isinstance(error, (click.Abort, NotConfirmedError)):
        return _CANCELLED
    if isinstance(error, click.UsageError):
        return _USAGE
    if isinstance(error, BrokenPipeError):
        return _OUTPUT_GONE
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    return 1


def describe(error: BaseException) -> dict[str, str]:
    """Return an error as every door shows it."""
    if isinstance(error, errors.DlenvError):
        # Imported here: most commands do not fail.
        from ..doctor.diagnoses import explained  # noqa: PLC0415

        return explained(error).to_json()
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "jupyter dlenv"
        return _plain("usage", error.format_message(), f"See `{command} --help`.")
    if isinstance(error, click.ClickException):
        return _plain("usage", error.format_message(), "")
    return _plain("interrupted", "Interrupted.", "")


def unexpected(error: Exception) -> errors.InternalError:
    """Keep the traceback of what nobody thought of in a file, and return what is said of it."""
    lines = traceback.format_exception(error)
    hint = "Please report it."
    # Only for the user: values of variables may be in it.
    with suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="jupyter-dlenv-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(lines)
        hint = f"Please report it, with what is in {path}."
    return errors.InternalError(
        f"jupyter dlenv met an error of its own ({type(error).__name__}).", hint=hint
    )


def _plain(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint, "detail": ""}


def print_json(value: Mapping[str, Any], *, compact: bool = False) -> None:
    """Print one object of the documented schema on stdout."""
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    click.echo(json.dumps(value, **layout))
    sys.stdout.flush()


def print_error(error: BaseException, *, as_json: bool) -> None:
    """Say what failed, what to try, and last the engine's own words."""
    described = describe(error)
    if as_json:
        print_json({"error": described})
        return
    # To have changed one's mind is no error.
    label = "" if exit_code(error) >= _CANCELLED else "Error: "
    if described["code"] == "interrupted" and sys.stderr.isatty():
        click.echo(err=True)  # the terminal has shown ^C there
    mark = click.style(label, fg="red", bold=True) if label else ""
    lines = [f"{mark}{clean(described['message'])}"]
    if described["hint"]:
        lines.append(f"{' ' * len(label)}{clean(described['hint'])}")
    lines += [click.style(f"  {x}", dim=True) for x in clean(described["detail"]).splitlines()]
    click.echo("\n".join(lines), err=True, color=styled(sys.stderr))


def styled(stream: Any) -> bool:
    """Tell whether a stream is a terminal whose user wants colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(stream.isatty())
