"""How long a connection takes and how much goes through it: one measurement, and the table."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable

from rig import ssh

CONNECTIONS = 5
MEBIBYTES = 64

#: The measurements of one client: seconds of connections, MB/s from inside and to inside.
Figures = dict[str, list[float]]


def measure(client: ssh.Client) -> Figures:
    """Connect some times, and move a lump of zeros in each direction."""
    return {
        "connect": [_seconds(client, "true") for _ in range(CONNECTIONS)],
        "down": [_down(client)],
        "up": [_up(client)],
    }


def table(measured: Iterable[tuple[str, Figures]]) -> str:
    """Return Markdown with the medians of all rounds, in the order in which ways came first."""
    found: dict[str, Figures] = {}
    for way, figures in measured:
        mine = found.setdefault(way, {})
        for name, values in figures.items():
            mine.setdefault(name, []).extend(values)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    load = f"load {os.getloadavg()[1]:.1f} at the end"
    lines = [
        f"{machine}, {load}; {MEBIBYTES} MiB in each direction. Medians:",
        "",
        "| way | connect | from inside | to inside |",
        "| --- | --- | --- | --- |",
    ]
    for way, mine in found.items():
        middle = {name: statistics.median(values) for name, values in mine.items()}
        spread = f"{min(mine['connect']):.2f} to {max(mine['connect']):.2f}"
        lines.append(
            f"| {way} | {middle['connect']:.2f} s ({spread})"
            f" | {middle['down']:.0f} MB/s | {middle['up']:.0f} MB/s |"
        )
    return "\n".join(lines)


def _seconds(client: ssh.Client, command: str, stdin: int = subprocess.DEVNULL) -> float:
    began = time.monotonic()
    subprocess.run(
        ["ssh", "-F", str(client.config), client.host, command],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=300,
    )
    return time.monotonic() - began


def _down(client: ssh.Client) -> float:
    seconds = _seconds(client, f"head -c {MEBIBYTES * 2**20} /dev/zero")
    return MEBIBYTES * 2**20 / 1e6 / seconds


def _up(client: ssh.Client) -> float:
    head = ["head", "-c", str(MEBIBYTES * 2**20), "/dev/zero"]
    with subprocess.Popen(head, stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        seconds = _seconds(client, "cat > /dev/null", stdin=source.stdout.fileno())
    return MEBIBYTES * 2**20 / 1e6 / seconds
