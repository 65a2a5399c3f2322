"""A card that says how to get into an environment: its kernel, its ports, SSH, editors."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import ipywidgets
import traitlets

from .. import api, background
from ..access.connect import ConnectionSheet
from ..errors import DlenvError
from ..models import Environment
from ..reach import connection_sheet
from .table import labelled


class ConnectionCard(ipywidgets.HTML):  # type: ignore[misc]
    """How to get into an environment.

    Attributes:
        environment: Which; assigning another one shows that.
        sheet: All ways into it, a moment later; can be observed.
    """

    environment = traitlets.Any()
    sheet = traitlets.Instance(ConnectionSheet, allow_none=True)

    def __init__(self, environment: api.EnvironmentHandle | Environment) -> None:
        super().__init__()
        self.environment = environment

    @traitlets.observe("environment")
    def _look(self, change: dict[str, api.EnvironmentHandle | Environment]) -> None:
        given = change["new"]
        environment = given if isinstance(given, Environment) else given.environment
        self.sheet = None
        self.value = card(environment, None)

        def show(asked: Future[ConnectionSheet]) -> None:
            try:
                sheet = asked.result()
            except (DlenvError, CancelledError):
                # What the card says already is all there is to say.
                return
            self.value = card(environment, sheet)
            self.sheet = sheet

        work = api.with_environments(
            environment.engine, lambda e: connection_sheet(e, environment.name)
        )
        background.start(work, show)


def card(environment: Environment, sheet: ConnectionSheet | None) -> str:
    """Return the card as HTML."""
    return labelled(_rows(environment, sheet), code=True)


def _rows(environment: Environment, sheet: ConnectionSheet | None) -> Iterator[tuple[str, str]]:
    name = environment.name
    yield "Environment", f"{name} ({environment.status.value})"
    yield "Image", environment.spec.image
    yield "Kernel", environment.kernel_name
    for port in environment.ports:
        yield f"Port {port.container_port}", f"{port.host_ip}:{port.host_port}"
    yield "In a cell", f"%%dlenv {name}"
    yield "In a terminal", f"jupyter dlenv shell {name}"
    for line in sheet.commands if sheet else ():
        yield line.purpose, line.command
    if sheet and sheet.unavailable:
        yield "SSH", sheet.unavailable
    yield "In other programs", f"jupyter dlenv kernelspec install {name}"
