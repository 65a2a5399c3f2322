"""How long a connection takes and how much goes through it, for each way into an environment.

All ways are measured in turns with a plain sshd of this machine, so that a busy machine is busy
for all of them.  Prints the table of docs/performance.md::

    cd tests && ../.venv/bin/python -m benchmarks.ssh_ways
"""

from __future__ import annotations

import getpass
import os
import platform
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rig import ask, jupyter, ssh
from rig.images import Images
from rig.ssh_home import Home

from jupyter_dlenv.access.client import laptop_block, url_block
from jupyter_dlenv.access.ssh_proxy import VARIABLE
from jupyter_dlenv.reach import authorize

ROUNDS = 3
CONNECTIONS = 5
MEBIBYTES = 200


def main() -> None:
    """Measure, and print the table."""
    url = ask.answering_url()
    if url is None:
        raise SystemExit("No Docker engine answers; `make engine-up` starts one.")
    os.environ["DOCKER_HOST"] = url
    image = Images(url).ensure("ssh")
    figures: dict[str, dict[str, list[float]]] = {}
    with _ways(image) as ways:
        for _ in range(ROUNDS):
            for way, client in ways.items():
                mine = figures.setdefault(way, {"connect": [], "down": [], "up": []})
                mine["connect"] += [_seconds(client, "true") for _ in range(CONNECTIONS)]
                mine["down"].append(_down(client))
                mine["up"].append(_up(client))
    print(f"{ROUNDS} rounds in turns, {platform.machine()}, {os.cpu_count()} cores, medians:\n")
    print("| way | connect | from inside | to inside |\n| --- | --- | --- | --- |")
    for way, found in figures.items():
        middle = {name: statistics.median(values) for name, values in found.items()}
        spread = f"{min(found['connect']):.2f} to {max(found['connect']):.2f}"
        print(
            f"| {way} | {middle['connect']:.2f} s ({spread})"
            f" | {middle['down']:.0f} MB/s | {middle['up']:.0f} MB/s |"
        )


@contextmanager
def _ways(image: str) -> Iterator[dict[str, ssh.Client]]:
    with tempfile.TemporaryDirectory(prefix="dl-", dir="/tmp") as scratch:
        home = Home(f"bench-{uuid.uuid4().hex[:6]}", Path(scratch))
        key = ssh.make_key(home.directory / "laptop")
        try:
            home.launch(image)
            home.do(lambda environments: authorize(environments, "a", (key,)))
            with ssh.plain_sshd(home.directory, key) as port, ExitStack() as ways:
                before = ssh.laptop_settings(home.directory, port, getpass.getuser())
                plain = home.directory / "plain-client"
                plain.write_text(before)
                settings = {
                    "engine": os.environ["DOCKER_HOST"],
                    "owner": home.owner,
                    "data_dir": str(home.directory / "data"),
                    "runtime_dir": str(home.directory / "run"),
                }
                server = ways.enter_context(jupyter.running(home.directory / "web", settings))
                os.environ[VARIABLE] = server.token
                yield {
                    "plain sshd of the host": ssh.Client(plain, "gpuhost", home.directory),
                    "published port": home.client(),
                    "the engine's stream": home.client(through_stream=True),
                    "port, by ProxyJump through the host": home.client(
                        write=laptop_block, before=before, via="gpuhost"
                    ),
                    "the Jupyter URL": home.client(write=url_block, before=before, url=server.url),
                }
        finally:
            home.remove_all()


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


if __name__ == "__main__":
    main()
