"""A card that says how to get into an environment: its kernel, its ports, its shell."""

from __future__ import annotations

import html

import ipywidgets
import traitlets

from ..api import EnvironmentHandle
from ..models import Environment


class ConnectionCard(ipywidgets.HTML):  # type: ignore[misc]
    """How to get into an environment.

    Attributes:
        environment: Which; assigning another one shows that.
    """

    environment = traitlets.Any()

    def __init__(self, environment: EnvironmentHandle | Environment) -> None:
        super().__init__()
        self.environment = environment

    @traitlets.observe("environment")
    def _show(self, change: dict[str, EnvironmentHandle | Environment]) -> None:
        self.value = card(change["new"])


def card(given: EnvironmentHandle | Environment) -> str:
    """Return the card as HTML."""
    environment = given if isinstance(given, Environment) else given.environment
    rows = [
        ("Environment", f"{environment.name} ({environment.status.value})"),
        ("Image", environment.spec.image),
        ("Kernel", environment.kernel_name),
        *((f"Port {p.container_port}", f"{p.host_ip}:{p.host_port}") for p in environment.ports),
        ("In a cell", f"%%dlenv {environment.name}"),
        ("In a terminal", f"jupyter dlenv shell {environment.name}"),
        ("In other programs", f"jupyter dlenv kernelspec install {environment.name}"),
    ]
    lines = (
        f"<tr><th>{html.escape(label)}</th><td><code>{html.escape(value)}</code></td></tr>"
        for label, value in rows
    )
    return f"<table>{''.join(lines)}</table>"
