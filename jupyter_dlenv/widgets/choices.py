"""The fields of a launch, and what they say: as a request, and as a command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets

from ..errors import InvalidSpecError
from ..models import EnvironmentSpec

_WIDTH = "44em"
_LABELS = {"description_width": "9em"}
_USERS = ("caller", "image", "root")
_USUAL = {"shm_size": "8g", "user": "caller"}
#: So that a field is judged for itself, and not for those that are still empty.
_BLAMELESS = {"name": "x", "image": "x"}
#: Options of the command line by the field of a request.
_OPTIONS = {
    "name": "--name",
    "gpus": "--gpus",
    "mounts": "--mount",
    "ports": "--publish",
    "env": "--env",
    "shm_size": "--shm-size",
    "user": "--user",
    "idle_stop": "--idle-stop",
}


class Choices(ipywidgets.VBox):  # type: ignore[misc]
    """What a user may choose; everything that is not chosen is left to the server."""

    def __init__(self, images: Iterable[str], wanted: Mapping[str, Any]) -> None:
        """Show the fields.

        Args:
            images: Names that are suggested.
            wanted: What they begin with, as ``api.launch`` takes it.
        """
        self.image = _field(
            *(ipywidgets.Combobox, "Image", wanted.get("image", "")),
            options=tuple(images),
            continuous_update=False,
        )
        self.name = _text("Name", wanted.get("name", ""), "made from the image")
        gpus = wanted.get("gpus", 0)
        count = gpus if isinstance(gpus, int) else 0
        self.gpus = _field(ipywidgets.BoundedIntText, "GPUs", count, max=64)
        self.devices = _field(ipywidgets.SelectMultiple, "or these", (), rows=4)
        self.devices.layout.display = "none"
        self.waits = _field(ipywidgets.Checkbox, "Wait in line until they are free", value=False)
        self.ports = _text("Ports", " ".join(wanted.get("ports", ())), "6006:6006 8080:80")
        self.mount_here = _field(ipywidgets.Checkbox, f"See {Path.cwd()} inside", value=True)
        self.mounts = _lines("Mounts", wanted.get("mounts", ()), "/data:/data:ro")
        variables = (f"{name}={value}" for name, value in wanted.get("env", {}).items())
        self.variables = _lines("Variables", variables, "NAME=value")
        self.shm_size = _text("Shared memory", str(wanted.get("shm_size", "8g")), "8g")
        self.user = _field(
            *(ipywidgets.Combobox, "User inside", wanted.get("user", "caller")), options=_USERS
        )
        minutes = wanted.get("idle_stop")
        self.idle_stop = _text(
            "Stop when idle", "" if minutes is None else str(minutes), "minutes; empty: as usual"
        )
        rare = [self.mounts, self.variables, self.shm_size, self.user, self.idle_stop]
        self.advanced = ipywidgets.Accordion([ipywidgets.VBox(rare)], selected_index=None)
        self.advanced.set_title(0, "Mounts, variables, shared memory, user, idle time")
        self._plain = [self.image, self.name, self.gpus, self.devices, self.waits]
        self._plain += [self.ports, self.mount_here]
        self._rare = rare
        super().__init__([*self._plain, self.advanced])
        if isinstance(gpus, str):
            self.offer_devices({}, chosen=gpus.removeprefix("device=").split(","))

    def on_change(self, tell: Callable[[], object]) -> None:
        """Have somebody told of every change."""
        for one in (*self._plain, *self._rare):
            one.observe(lambda _: tell(), "value")

    def offer_devices(self, labels: Mapping[str, str], *, chosen: Iterable[str] = ()) -> None:
        """Offer GPUs to be picked by hand: their labels by UUID; what was chosen stays."""
        kept = [*self.devices.value, *chosen]
        named = {**{device: device for device in kept}, **labels}
        self.devices.options = [(label, device) for device, label in named.items()]
        self.devices.value = kept
        self.devices.rows = min(8, max(2, len(named)))
        self.devices.layout.display = None if named else "none"

    def wanted(self) -> dict[str, Any]:
        """Return the request, as ``EnvironmentSpec`` reads it, without what nobody chose."""
        chosen: dict[str, Any] = {
            "name": self.name.value.strip(),
            "image": self.image.value.strip(),
            "gpus": f"device={','.join(self.devices.value)}" * bool(self.devices.value)
            or self.gpus.value,
            "mounts": self.mounts.value.split("\n"),
            "ports": self.ports.value.split(),
            "env": _variables(self.variables.value),
            "shm_size": self.shm_size.value.strip(),
            "user": self.user.value.strip(),
            "idle_stop": _number(self.idle_stop.value.strip()),
        }
        chosen["mounts"] = [m.strip() for m in chosen["mounts"] if m.strip()]
        return {k: v for k, v in chosen.items() if v not in ("", 0, [], {}, None, _USUAL.get(k))}

    def problem(self) -> str:
        """Return what is wrong with what was chosen so far, and what to try; or nothing."""
        try:
            EnvironmentSpec.from_json({**_BLAMELESS, **self.wanted()})
        except InvalidSpecError as error:
            return f"{error} {error.hint}".strip()
        return ""

    def command(self) -> str:
        """Return the line that launches the same, without the program before it."""
        wanted = self.wanted()
        words = [wanted.pop("image", "IMAGE")]
        for field, value in wanted.items():
            for one in _words(value):
                words += [_OPTIONS[field], one]
        words += ["--wait-for-gpus"] * self.waits.value + ["--no-mount"] * (
            not self.mount_here.value
        )
        return f"launch {shlex.join(words)}"


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}={content}" for name, content in value.items()]
    return list(value) if isinstance(value, list) else [str(value)]


def _variables(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.split("\n") if line.strip())
    return {name.strip(): value for name, _, value in lines}


def _number(text: str) -> Any:
    # What is no number, is refused with the words of everybody.
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _text(label: str, value: str, placeholder: str) -> Any:
    return _field(ipywidgets.Text, label, value, placeholder=placeholder)


def _lines(label: str, value: Iterable[str], placeholder: str) -> Any:
    text = "\n".join(value)
    return _field(ipywidgets.Textarea, label, text, placeholder=placeholder, rows=2)


def _field(kind: Callable[..., Any], label: str, value: Any, **more: Any) -> Any:
    # A layout for each: who hides a field would hide all others with it.
    layout = ipywidgets.Layout(width=_WIDTH)
    return kind(description=label, value=value, style=_LABELS, layout=layout, **more)
