"""Environments as plain ipywidgets, for Lab, Notebook, VS Code and Voilà."""

from __future__ import annotations

from .board import GPUBoard
from .connection import ConnectionCard
from .launcher import EnvironmentLauncher

__all__ = ["ConnectionCard", "EnvironmentLauncher", "GPUBoard"]
