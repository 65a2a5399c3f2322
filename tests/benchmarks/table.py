"""Samples to a table: medians, and ratios to the first column."""

from __future__ import annotations

import statistics
from collections import defaultdict


class Samples:
    """What was measured, by measure and candidate.

    Args:
        order: All candidates; the first of a measure is what the others are compared with.
    """

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = order
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._notes: dict[str, list[str]] = defaultdict(list)

    def add(self, measure: str, candidate: str, value: float) -> None:
        self._values[measure][candidate].append(value)

    def of(self, measure: str, candidate: str) -> list[float]:
        """Return what was measured so far."""
        return self._values[measure][candidate]

    def note(self, measure: str, text: str) -> None:
        """Say something below the table of a measure, or in its place."""
        self._notes[measure].append(text)

    def to_markdown(self) -> str:
        """Return one table for each measure, in the order in which they came."""
        parts = []
        for measure in dict.fromkeys((*self._values, *self._notes)):
            parts.append(f"**{measure}**")
            if measure in self._values:
                parts.append(self._table(self._values[measure]))
            parts.extend(self._notes.get(measure, ()))
        return "\n\n".join(parts)

    def _table(self, candidates: dict[str, list[float]]) -> str:
        rows = ["| | median | p90 | ratio | n |", "| --- | --- | --- | --- | --- |"]
        present = [candidate for candidate in self._order if candidate in candidates]
        base = statistics.median(candidates[present[0]])
        for candidate in present:
            values = candidates[candidate]
            median = statistics.median(values)
            ratio = f"{median / base:.2f}" if base else ""
            rows.append(
                f"| {candidate} | {median:.1f} | {_p90(values):.1f} | {ratio} | {len(values)} |"
            )
        return "\n".join(rows)


def _p90(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.9))]
