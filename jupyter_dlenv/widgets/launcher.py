"""A form that launches an environment, with progress and a way to cancel."""

from __future__ import annotations

import html
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets

from .. import api, background
from ..errors import DlenvError
from ..images.catalogue import Catalogue
from ..models import Progress
from .connection import ConnectionCard

_WIDE = ipywidgets.Layout(width="32em")
_LABELS = {"description_width": "7em"}


class EnvironmentLauncher(ipywidgets.VBox):  # type: ignore[misc]
    """The choices of a launch; ``environment`` is what came of it.

    Attributes:
        environment: The environment once it is ready, or ``None``; can be observed.
        phase: How far the launch is: empty, ``queued``, ``pulling``, …, ``ready``, ``failed``
            or ``cancelled``; can be observed.
        error: Why it failed, and what to try; can be observed.
    """

    environment = traitlets.Any(None, allow_none=True)
    phase = traitlets.Unicode("")
    error = traitlets.Unicode("")

    def __init__(self, *, engine: str = "", **wanted: Any) -> None:
        """Show the form.

        Args:
            engine: A name or URL; empty is the configured one.
            wanted: What the form begins with: ``image``, ``name``, ``gpus``, ``ports``.
        """
        self._engine = engine
        self._cancel_launch: Callable[[], object] = lambda: None
        names = [entry.name for entry in Catalogue.load().entries]
        self.image = _field(ipywidgets.Combobox, "Image", wanted.get("image", ""), options=names)
        self.name = _field(ipywidgets.Text, "Name", wanted.get("name", ""))
        self.name.placeholder = "made from the image"
        self.gpus = _field(ipywidgets.BoundedIntText, "GPUs", wanted.get("gpus", 0), max=64)
        self.ports = _field(ipywidgets.Text, "Ports", " ".join(wanted.get("ports", ())))
        self.ports.placeholder = "6006:6006 8080:80"
        self.mount_here = _field(ipywidgets.Checkbox, f"See {Path.cwd()} inside", value=True)
        self.launch_button = ipywidgets.Button(description="Launch", button_style="primary")
        self.cancel_button = ipywidgets.Button(description="Cancel", disabled=True)
        self._bar = ipywidgets.FloatProgress(max=1.0, layout=_WIDE)
        self._bar.layout.visibility = "hidden"
        self._said = ipywidgets.HTML()
        self._card = ipywidgets.VBox()
        self.launch_button.on_click(lambda _: self.launch())
        self.cancel_button.on_click(lambda _: self.cancel())
        buttons = ipywidgets.HBox([self.launch_button, self.cancel_button])
        fields = [self.image, self.name, self.gpus, self.ports, self.mount_here]
        super().__init__([*fields, buttons, self._bar, self._said, self._card])

    def launch(self) -> None:
        """Begin the launch that the form describes; returns at once."""
        self.environment, self.error, self.phase = None, "", "queued"
        self.launch_button.disabled, self.cancel_button.disabled = True, False
        self._card.children = ()
        work = api.launching(
            self.image.value.strip(),
            name=self.name.value.strip(),
            gpus=self.gpus.value,
            ports=self.ports.value.split(),
            mount_here=self.mount_here.value,
            engine=self._engine,
            keep=True,
            report=self._report,
        )
        self._cancel_launch = background.start(work, self._ended)

    def cancel(self) -> None:
        """Give the launch up; what it has made is removed."""
        self._cancel_launch()

    def _report(self, progress: Progress) -> None:
        self.phase = progress.phase.value
        self._bar.layout.visibility = "visible" if progress.total else "hidden"
        if progress.total:
            self._bar.value = progress.current / progress.total
        self._said.value = html.escape(f"{progress.phase.value}: {progress.message}".rstrip(": "))

    def _ended(self, launched: Future[api.EnvironmentHandle]) -> None:
        self.launch_button.disabled, self.cancel_button.disabled = False, True
        self._bar.layout.visibility = "hidden"
        try:
            handle = launched.result()
        except CancelledError:
            self._said.value, self.phase = "The launch was cancelled.", "cancelled"
        except DlenvError as error:
            self.error = f"{error} {error.hint}"
            detail = f"<pre>{html.escape(error.detail)}</pre>" if error.detail else ""
            self._said.value, self.phase = f"{html.escape(self.error)}{detail}", "failed"
        except Exception as error:  # noqa: BLE001 whoever looks at the form has no other place
            self.error, self.phase = repr(error), "failed"
            self._said.value = html.escape(self.error)
        else:
            self._said.value = ""
            self._card.children = (ConnectionCard(handle),)
            self.environment, self.phase = handle, "ready"


def _field(kind: Callable[..., Any], label: str, value: Any, **more: Any) -> Any:
    return kind(description=label, value=value, style=_LABELS, layout=_WIDE, **more)
