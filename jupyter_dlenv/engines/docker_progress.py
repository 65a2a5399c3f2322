"""What Docker says while it pulls and builds, added up for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..models import LayerProgress
from .base import TransferProgress

_STEP = re.compile(r"Step (\d+)/(\d+) : ")
_INTERMEDIATE = re.compile(r"---> Running in ([0-9a-f]{12,64})")
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_DETAIL_CHARACTERS = 32 * 1024
_LAYERS_SHOWN = 200
#: Layers whose bytes are on the registry.
_THERE = ("Pushed", "Layer already exists", "Mounted from")
#: Layers whose bytes are on the engine.
_HERE = ("Download complete", "Pull complete", "Already exists", "Extracting", "Verifying")


class PullProgress:
    """The layers of one pull, and how much of them is here."""

    def __init__(self) -> None:
        self._layers: dict[str, LayerProgress] = {}

    def add(self, line: Mapping[str, Any]) -> TransferProgress:
        state = str(line.get("status", ""))
        layer = str(line.get("id", ""))
        # Without a size it is the name of the tag: "Pulling from library/debian".
        if layer and "Pulling from" not in state:
            self._layers[layer] = self._changed(layer, state, line.get("progressDetail") or {})
        layers = tuple(self._layers.values())[:_LAYERS_SHOWN]
        return TransferProgress(
            message=_pull_message(state, layers),
            current=sum(x.current for x in layers),
            total=sum(x.total for x in layers),
            layers=layers,
        )

    def _changed(self, layer: str, state: str, detail: Mapping[str, Any]) -> LayerProgress:
        before = self._layers.get(layer, LayerProgress(id=layer, state=state))
        current, total = before.current, before.total
        if state == "Downloading":
            said = int(detail.get("total") or 0)
            total = max(said, total)
            # Of a layer that is resumed, the engine counts only the rest.
            current = max(current, total - said + int(detail.get("current") or 0))
        elif state.startswith(_HERE):
            current = total
        return LayerProgress(id=layer, state=state, current=current, total=total)


class PushProgress:
    """The layers of one push, and how much of them the registry has."""

    def __init__(self) -> None:
        #: What the registry knows the image by, once it has all of it.
        self.digest = ""
        self._layers: dict[str, LayerProgress] = {}

    def add(self, line: Mapping[str, Any]) -> TransferProgress:
        state = str(line.get("status", ""))
        layer = str(line.get("id", ""))
        if digest := _DIGEST.search(state):
            self.digest = digest[1]
        if layer and state:
            detail = line.get("progressDetail") or {}
            before = self._layers.get(layer, LayerProgress(id=layer, state=state))
            current = int(detail.get("current") or 0)
            # What was only estimated may turn out to be more.
            total = max(int(detail.get("total") or 0), before.total, current)
            if state.startswith(_THERE):
                current = total
            self._layers[layer] = LayerProgress(id=layer, state=state, current=current, total=total)
        layers = tuple(self._layers.values())[:_LAYERS_SHOWN]
        done = sum(x.state.startswith(_THERE) for x in layers)
        return TransferProgress(
            message=f"{done} of {len(layers)} layers are there" if layers else state,
            current=sum(x.current for x in layers),
            total=sum(x.total for x in layers),
            layers=layers,
        )


class BuildProgress:
    """The steps of one build, the output of the one under way, and its container."""

    def __init__(self) -> None:
        self.error = ""
        self.image_id = ""
        #: The container of the step under way.
        self.container_id = ""
        self.message = ""
        self._current = 0
        self._total = 0
        self._output = ""
        self._pull = PullProgress()

    @property
    def output(self) -> str:
        """Return what the step under way has printed, or the end of it."""
        return self._output

    def add(self, line: Mapping[str, Any]) -> TransferProgress:
        text = str(line.get("stream", ""))
        if "error" in line:
            self.error = str((line.get("errorDetail") or {}).get("message") or line["error"])
        self.image_id = str((line.get("aux") or {}).get("ID", self.image_id))
        if step := _STEP.match(text):
            self._current, self._total = int(step[1]), int(step[2])
            self.message = text.strip()
            self._output = ""
            self.container_id = ""
        if container := _INTERMEDIATE.search(text):
            self.container_id = container[1]
        # A build may print gigabytes in one step.
        self._output = (self._output + text)[-_DETAIL_CHARACTERS:]
        layers = self._pull.add(line).layers if "status" in line else ()
        return TransferProgress(
            message=self.message,
            current=self._current,
            total=self._total,
            layers=layers,
            log=text,
        )


def _pull_message(state: str, layers: tuple[LayerProgress, ...]) -> str:
    if not layers:
        return state
    done = sum(x.state.startswith(("Pull complete", "Already exists")) for x in layers)
    return f"{done} of {len(layers)} layers are here"
