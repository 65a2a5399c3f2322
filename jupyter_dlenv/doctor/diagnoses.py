"""The whole table of diagnoses, applied to facts and to the words of a failure."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TypeVar

from ..errors import (
    AgentError,
    DlenvError,
    EngineError,
    EnvironmentDiedError,
    GPUUnavailableError,
    ImageError,
)
from . import (
    diagnoses_driver,
    diagnoses_engine,
    diagnoses_environment,
    diagnoses_images,
    diagnoses_machine,
    diagnoses_toolkit,
)
from .facts import Facts
from .finding import Finding, Section, Severity

_Error = TypeVar("_Error", bound=DlenvError)

#: In words, the first that fits counts: what NVIDIA's hook says is more precise than what the
#: driver says, which it quotes.
DIAGNOSES = (
    *diagnoses_toolkit.DIAGNOSES,
    *diagnoses_driver.DIAGNOSES,
    *diagnoses_environment.DIAGNOSES,
    *diagnoses_images.DIAGNOSES,
    *diagnoses_engine.DIAGNOSES,
    *diagnoses_machine.DIAGNOSES,
)
#: Failures that carry the words of engines, registries and programs in environments.
_OF_OTHERS = (EngineError, ImageError, AgentError)
#: Those of them that say little of their own.
_VAGUE = (EngineError, GPUUnavailableError, AgentError, EnvironmentDiedError)
_SEVERITIES = tuple(Severity)
_SECTIONS = tuple(Section)
#: Which section a fact belongs to that could not be had; others are the machine's.
_ABSENT = {
    "engine": Section.ENGINE,
    "driver": Section.GPUS,
    "compute modes": Section.GPUS,
    "toolkit": Section.GPUS,
    "environments": Section.IMAGES,
    "registries": Section.IMAGES,
    "parts": Section.PARTS,
}


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Return what the facts show, section by section and the worst first."""
    found = [finding for d in DIAGNOSES if (finding := d.of(facts)) is not None]
    found += [_unknown(what, why) for what, why in facts.absent.items()]
    return tuple(
        sorted(
            found, key=lambda f: (_SECTIONS.index(f.section), _SEVERITIES.index(f.severity), f.id)
        )
    )


def explain(text: str) -> Finding | None:
    """Return what the words of an engine, a hook, a registry or a log mean, if that is known."""
    for diagnosis in DIAGNOSES:
        if (finding := diagnosis.explains(text)) is not None:
            return finding
    return None


def explain_failure(error: DlenvError) -> Finding | None:
    """Return what a failure means, if its words tell."""
    return explain(error.detail) or explain(str(error))


def explained(error: _Error) -> _Error:
    """Return a failure with our explanation on top, or the same one if there is none.

    Doors do this with every failure that they show.  What was raised keeps its class, and
    its own words, in the detail; what it says of itself is kept where that is more precise.
    """
    finding = explain_failure(error) if isinstance(error, _OF_OTHERS) else None
    if finding is None:
        return error
    better = copy.copy(error)
    # Advice that names the environment at hand is better than the table's.
    fix = finding.fix if error.hint == error.default_hint else error.hint
    better.hint = " ".join(filter(None, [finding.cause, fix]))
    if type(error) in _VAGUE and str(error) != finding.title:
        better.args = (finding.title, *error.args[1:])
        if str(error) not in error.detail:
            better.detail = f"{error}\n{error.detail}".strip()
    return better


def _unknown(what: str, why: str) -> Finding:
    return replace(
        Finding(
            id="unknown",
            section=_ABSENT.get(what, Section.MACHINE),
            severity=Severity.INFO,
            title=f"Nothing is known of the {what}.",
        ),
        cause=why,
    )
