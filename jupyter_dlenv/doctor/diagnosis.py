"""How a diagnosis is made: from facts, or from the words of whatever failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .facts import Facts
from .finding import Finding

_LONGEST_LINE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One entry of the table: a finding, and how to tell that it applies.

    Attributes:
        finding: What is said; a check may make it more precise.
        check: Tells from facts; ``None`` where only words can tell.
        said: What engines, hooks, drivers and images say in this case.
    """

    finding: Finding
    check: Callable[[Facts], Finding | None] | None = None
    said: re.Pattern[str] | None = None

    def of(self, facts: Facts) -> Finding | None:
        """Return the finding, if the facts show it."""
        found = self.check(facts) if self.check is not None else None
        if found is not None or self.said is None:
            return found
        return heard(self.finding, self.said, facts)

    def explains(self, text: str) -> Finding | None:
        """Return the finding, if the text says it."""
        line = line_with(self.said, text) if self.said is not None else ""
        return replace(self.finding, detail=line) if line else None


def says(pattern: str) -> re.Pattern[str]:
    """Return what is looked for in foreign words, whose case differs by version."""
    return re.compile(pattern, re.IGNORECASE)


def heard(
    finding: Finding, said: re.Pattern[str], facts: Facts, *, gpus_only: bool = False
) -> Finding | None:
    """Return the finding, if an environment has said it."""
    for environment in facts.environments:
        if gpus_only and not environment.gpus:
            continue
        for text in (environment.error, environment.smi, environment.log):
            if line := line_with(said, text):
                return replace(finding, detail=f"{environment.name}: {line}")
    return None


def line_with(pattern: re.Pattern[str], text: str) -> str:
    """Return the line of a text in which a pattern is found, or nothing."""
    match = pattern.search(text)
    if match is None:
        return ""
    begin = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    line = text[begin : end if end >= 0 else len(text)].strip()
    if len(line) <= _LONGEST_LINE:
        return line
    # Engines put a whole story on one line.
    around = max(0, match.start() - begin - _LONGEST_LINE // 4)
    return f"… {line[around : around + _LONGEST_LINE]} …"


def listed(words: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    """Return words as a sentence has them."""
    return ", ".join(words)
