"""How much of an image has come, over all attempts: bytes never go back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..engines.base import TransferProgress
from ..models import LayerProgress
from .pace import Pace
from .remote import Blob

#: Seconds without a byte after which people want to know why.
_SILENCE = 20.0
_ID_LENGTH = 12
_WAITING = "Waiting"
#: What engines say of layers that will send no more bytes.
_HERE = ("Pull complete", "Already exists", "Download complete", "Extracting", "Verifying")
_DONE = ("Pull complete", "Already exists")


class Tally:
    """The layers of one image while it is fetched.

    Args:
        expected: The layers that will be fetched, if that is known: the total is right from
            the beginning then.
    """

    def __init__(self, expected: Iterable[Blob], *, now: float) -> None:
        self._layers: dict[str, LayerProgress] = {}
        for blob in expected:
            name = blob.digest.rpartition(":")[2][:_ID_LENGTH]
            self._layers[name] = LayerProgress(id=name, state=_WAITING, total=blob.size)
        self._pace = Pace()
        self._changed = now
        self._trouble = ""
        self._last: TransferProgress | None = None

    @property
    def current(self) -> int:
        return sum(layer.current for layer in self._layers.values())

    @property
    def total(self) -> int:
        return sum(layer.total for layer in self._layers.values())

    def add(self, progress: TransferProgress, *, now: float) -> TransferProgress:
        """Take a report of the engine, and return the one for everybody."""
        self._trouble = ""
        for layer in progress.layers:
            self._layers[layer.id] = self._merged(layer)
        # A message means that the engine is alive, but not that bytes come.
        if any(x.state.startswith("Extracting") for x in progress.layers):
            self._changed = now
        return self.report(now=now, message=progress.message)

    def interrupted(self, reason: str, *, now: float) -> TransferProgress:
        """Return what is said between two attempts."""
        self._trouble = reason
        return self.report(now=now)

    def report(self, *, now: float, message: str = "") -> TransferProgress:
        """Return how far it is now; speed falls while nothing comes."""
        current, total = self.current, self.total
        before = self._last
        if before is None or current > before.current:
            self._changed = now
        self._pace.add(now, current, total)
        self._last = TransferProgress(
            message=self._message(now) or message or (before.message if before else ""),
            current=current,
            total=total,
            layers=tuple(self._layers.values()),
            speed=self._pace.speed,
            seconds_left=self._pace.seconds_left,
        )
        return self._last

    def _merged(self, layer: LayerProgress) -> LayerProgress:
        known = self._layers.get(layer.id, layer)
        total = max(known.total, layer.total)
        here = layer.state.startswith(_HERE)
        current = total if here else max(known.current, min(layer.current, total))
        return replace(layer, current=current, total=total)

    def _message(self, now: float) -> str:
        if self._trouble:
            return self._trouble
        layers = self._layers.values()
        if any(x.state.startswith("Retrying") for x in layers):
            return "The connection to the registry broke; the engine tries again by itself"
        silent = now - self._changed
        under_way = any(not x.state.startswith(_HERE) for x in layers)
        if under_way and silent >= _SILENCE:
            return (
                f"No byte has come for {silent:.0f} s: the network, a proxy or the registry is "
                "silent. It goes on by itself when they are back, or can be cancelled"
            )
        done = sum(x.state.startswith(_DONE) for x in layers)
        return f"{done} of {len(layers)} layers are here" if layers else ""
