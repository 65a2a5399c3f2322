"""A form that launches an environment, with progress and a way to cancel."""

from __future__ import annotations

import html
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import ipywidgets
import traitlets

from .. import api, background
from ..environments import Environments
from ..errors import DlenvError
from ..images.catalogue import Catalogue
from ..images.offers import Listing
from ..images.sheet import Sheet
from ..models import Progress
from .board import GPUBoard, labels
from .choices import Choices
from .connection import ConnectionCard
from .outlook import commands, outlook

_BAR = ipywidgets.Layout(width="44em")


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
            wanted: What the form begins with, as ``jupyter_dlenv.launch`` takes it.
        """
        self._engine = engine
        self._cancel_launch: Callable[[], object] = lambda: None
        self._asked_for = ""
        self.choices = Choices([entry.name for entry in Catalogue.load().entries], wanted)
        # Not shown: those that can be picked say the same.
        self._gpus = GPUBoard(engine=engine)
        self.launch_button = ipywidgets.Button(description="Launch", button_style="primary")
        self.cancel_button = ipywidgets.Button(description="Cancel", disabled=True)
        self._outlook, self._commands = ipywidgets.HTML(), ipywidgets.HTML()
        self._problem, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        self._bar = ipywidgets.FloatProgress(max=1.0, layout=_BAR)
        self._bar.layout.visibility = "hidden"
        self._card = ipywidgets.VBox()
        self.launch_button.on_click(lambda _: self.launch())
        self.cancel_button.on_click(lambda _: self.cancel())
        refresh = ipywidgets.Button(description="Look at the GPUs again")
        refresh.layout.width = "auto"
        refresh.on_click(lambda _: self._gpus.refresh())
        buttons = ipywidgets.HBox([self.launch_button, self.cancel_button, refresh])
        self._gpus.observe(lambda _: self._offer_devices(), "view")
        self.choices.on_change(self._look_again)
        told = [self._outlook, self._problem, self._commands]
        said = [self._bar, self._said, self._card]
        super().__init__([self.choices, *told, buttons, *said])
        self._offer_devices()
        self._offer_images()
        self._look_again()

    def launch(self) -> None:
        """Begin the launch that the form describes; returns at once."""
        self.environment, self.error, self.phase = None, "", "queued"
        self.launch_button.disabled, self.cancel_button.disabled = True, False
        self._card.children = ()
        wanted = self.choices.wanted()
        work = api.launching(
            wanted.pop("image", ""),
            name=wanted.pop("name", ""),
            mount_here=self.choices.mount_here.value,
            wait_for_gpus=self.choices.waits.value,
            engine=self._engine,
            keep=True,
            report=self._report,
            **wanted,
        )
        self._cancel_launch = background.start(work, self._ended)

    def cancel(self) -> None:
        """Give the launch up; what it has made is removed."""
        self._cancel_launch()

    def _look_again(self) -> None:
        self._commands.value = commands(self.choices.command())
        self._problem.value = html.escape(self.choices.problem())
        image = self.choices.image.value.strip()
        if image == self._asked_for:
            return
        self._asked_for, self._outlook.value = image, ""
        if image:

            async def read(environments: Environments) -> Sheet:
                return await environments.library.sheet(image)

            background.start(
                api.with_environments(self._engine, read), lambda seen: self._foretell(image, seen)
            )

    def _foretell(self, image: str, seen: Future[Sheet]) -> None:
        if image != self._asked_for:
            # Another one was chosen meanwhile.
            return
        try:
            self._outlook.value = outlook(seen.result())
        except CancelledError:
            return
        except DlenvError as error:
            self._outlook.value = html.escape(f"{error} {error.hint}")

    def _offer_devices(self) -> None:
        if self._gpus.view is not None:
            self.choices.offer_devices(labels(self._gpus.view))

    def _offer_images(self) -> None:
        async def read(environments: Environments) -> Listing:
            return await environments.library.listing()

        def offer(seen: Future[Listing]) -> None:
            if not seen.cancelled() and seen.exception() is None:
                known = self.choices.image.options
                here = (tag for image in seen.result().images for tag in image.tags)
                self.choices.image.options = tuple(dict.fromkeys((*known, *here)))

        background.start(api.with_environments(self._engine, read), offer)

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
