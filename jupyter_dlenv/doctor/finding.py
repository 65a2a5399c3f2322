"""What a diagnosis found: what is wrong, why, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How much a finding matters, worst first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    OK = "ok"


class Section(str, Enum):
    """What a finding is about."""

    ENGINE = "engine"
    GPUS = "gpus"
    IMAGES = "images"
    MACHINE = "machine"
    PARTS = "parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a doctor says.

    Attributes:
        id: Stable, such as ``G05``; for programs and for whoever asks for help.
        title: One sentence: what is wrong (or well).
        cause: Why, as far as it is known.
        fix: What to try, or empty if there is nothing to do.
        detail: What it was seen by, word for word.
    """

    id: str
    section: Section
    severity: Severity
    title: str
    cause: str = ""
    fix: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        return {
            "id": self.id,
            "section": self.section.value,
            "severity": self.severity.value,
            "title": self.title,
            "cause": self.cause,
            "fix": self.fix,
            "detail": self.detail,
        }
