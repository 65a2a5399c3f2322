"""How fast bytes come, and how long the rest will take: steady enough to read, fresh enough."""

from __future__ import annotations

from collections import deque

#: Speed is that of the last seconds.
_WINDOW = 8.0
_SHORTEST = 0.5
#: The part of each second's news that the time left takes over: it must not jump about.
_SMOOTHING = 0.25


class Pace:
    """Bytes per second, and seconds to the end; moments are seconds on any one clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._left: float | None = None
        self._told = 0.0

    def add(self, moment: float, count: int, total: int) -> None:
        """Take note of how many bytes have come by now; to say the same again counts too."""
        if self._samples and count < self._samples[-1][1]:
            # Something began again: what was measured before says nothing of now.
            self._samples.clear()
        self._samples.append((moment, count))
        while len(self._samples) > 2 and moment - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        self._smooth(moment, total - count)

    @property
    def speed(self) -> float:
        if not self._samples:
            return 0.0
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        return (last - first) / (ended - began) if ended - began >= _SHORTEST else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest will take; ``None`` before it can be told, or if ever."""
        return self._left

    def _smooth(self, moment: float, rest: int) -> None:
        speed = self.speed
        passed, self._told = moment - self._told, moment
        if speed <= 0:
            self._left = None
            return
        now = rest / speed
        if self._left is None:
            self._left = now
            return
        expected = max(0.0, self._left - passed)
        share = min(1.0, _SMOOTHING * passed)
        self._left = expected + (now - expected) * share if rest else 0.0
