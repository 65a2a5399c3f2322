"""The command that says what is wrong with the engine, the GPUs and this machine."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import DlenvError
from .invocation import Invocation, common_options, pass_invocation
from .outcome import print_json, styled
from .text import clean

if TYPE_CHECKING:
    from ..doctor.facts import Facts
    from ..doctor.finding import Finding
    from ..engines.base import Engine

_TITLES = {
    "engine": "Engine",
    "gpus": "GPUs",
    "images": "Images and registries",
    "machine": "This machine",
    "parts": "Parts of jupyter_dlenv",
}
#: What stands before each finding, and what does where the terminal has only ASCII.
_MARKS = {
    "error": ("✗", "x", "red"),
    "warning": ("!", "!", "yellow"),
    "info": ("·", "-", "cyan"),
    "ok": ("✓", "+", "green"),
}
_WIDTH = 90
_INDENT = " " * 12


@click.command()
@common_options
@pass_invocation
def doctor(invocation: Invocation) -> int:
    """Find out what is wrong, and say what to try."""
    # Imported here: what asks for help must not wait for it.
    import asyncio  # noqa: PLC0415

    from ..doctor.diagnoses import diagnose  # noqa: PLC0415
    from .interrupts import interruptible  # noqa: PLC0415

    facts = asyncio.run(interruptible(_examine(invocation), lambda: None))
    findings = diagnose(facts)
    if invocation.json:
        found = [f.to_json() for f in findings]
        print_json({"doctor": {"findings": found, "facts": facts.without_logs().to_json()}})
    else:
        click.echo("\n".join(_board(findings)), color=styled(sys.stdout))
    return int(any(f.severity.value == "error" for f in findings))


async def _examine(invocation: Invocation) -> Facts:
    # Imported here for the reason above.
    from ..doctor.collect import collect  # noqa: PLC0415

    configuration = invocation.configuration()
    async with AsyncExitStack() as stack:
        owner = configuration.owner
        engine: Engine | DlenvError
        try:
            environments = configuration.open(invocation.engine)
        except DlenvError as error:
            engine = error
        else:
            stack.push_async_callback(environments.aclose)
            engine, owner = environments.engine, environments.owner
        return await collect(
            engine,
            owner=owner,
            runtime_dir=Path(configuration.runtime_dir),
            data_dir=Path(configuration.data_dir),
            host_ports=configuration.allowed_host_ports,
        )


def _board(findings: tuple[Finding, ...]) -> Iterator[str]:
    for section, found in groupby(findings, key=lambda f: f.section.value):
        yield click.style(_TITLES[section], bold=True)
        for finding in found:
            yield from _lines(finding)
        yield ""
    yield _summary(findings)


def _lines(finding: Finding) -> Iterator[str]:
    word = finding.severity.value
    fancy, plain, colour = _MARKS[word]
    mark = fancy if (sys.stdout.encoding or "").lower().startswith("utf") else plain
    label = click.style(f"{mark} {word:<8}", fg=colour)
    problem = word != "ok"
    number = f" [{finding.id}]" if problem and finding.id[1:].isdigit() else ""
    title, *rest = textwrap.wrap(f"{clean(finding.title)}{number}", _WIDTH - len(_INDENT))
    yield f"  {label}{title}"
    yield from (f"{_INDENT}{line}" for line in rest)
    if problem:
        yield from _wrapped(finding.cause)
        yield from _wrapped(finding.fix, first="→ " if mark == fancy else "> ")
    # The words of others are not wrapped: somebody may want to search for them.
    for line in clean(finding.detail).splitlines():
        yield click.style(f"{_INDENT}{line}", dim=True)


def _wrapped(text: str, *, first: str = "") -> list[str]:
    return textwrap.wrap(
        clean(text),
        _WIDTH,
        initial_indent=f"{_INDENT}{first}",
        subsequent_indent=_INDENT + " " * len(first),
        # Commands must be copied as they are.
        break_long_words=False,
        break_on_hyphens=False,
    )


def _summary(findings: tuple[Finding, ...]) -> str:
    parts = []
    for word in ("error", "warning"):
        count = sum(f.severity.value == word for f in findings)
        parts += [f"{count} {word}{'s' if count > 1 else ''}"] if count else []
    return " and ".join(parts) + "." if parts else "No problem found."
