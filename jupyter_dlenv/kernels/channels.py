"""The sockets of a kernel in an environment."""

from __future__ import annotations

from pathlib import Path

#: In the order in which an agent numbers its sockets.
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


def kernel_endpoints(directory: Path, prefix: str) -> dict[str, str]:
    """Return where a kernel listens for each channel."""
    return {
        channel: f"ipc://{directory / prefix}-{number}"
        for number, channel in enumerate(CHANNELS, start=1)
    }
