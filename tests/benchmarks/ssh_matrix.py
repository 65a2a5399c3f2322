"""Everything that SSH is used for, by every way, on every kind of image, after every mishap.

The tests try each of these once, and not all together, which takes a quarter of an hour::

    cd tests && ../.venv/bin/python -m benchmarks.ssh_matrix [ROUNDS]
"""

from __future__ import annotations

import getpass
import io
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from rig import ask, ssh
from rig.images import Images
from rig.ssh_home import Home, OfflineWhilePreparing, kill_a_kernel

from jupyter_dlenv.access.client import laptop_block
from jupyter_dlenv.images.recipe import prepared_tag
from jupyter_dlenv.reach import authorize

KINDS = ("image with sshd", "layer", "carried in")


def main() -> int:
    """Try everything; print a line for each, and return how much failed."""
    url = ask.answering_url()
    if url is None:
        raise SystemExit("No Docker engine answers; `make engine-up` starts one.")
    os.environ["DOCKER_HOST"] = url
    images = Images(url)
    failed = 0
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        for kind in KINDS:
            with _home(images, kind) as (home, ways):
                for mishap, happen in _mishaps(home).items():
                    happen()
                    for way, client in ways.items():
                        failed += _try(f"round {number + 1}, {kind}, {mishap}, {way}", client)
    print(f"{failed} failed")
    return failed


def _mishaps(home: Home) -> dict[str, Callable[[], object]]:
    return {
        "fresh": lambda: None,
        "after a restart": lambda: home.do(lambda environments: environments.restart("a")),
        "after a kernel's death": lambda: home.do(kill_a_kernel),
    }


def _try(what: str, client: ssh.Client) -> int:
    failed = 0
    began = time.monotonic()
    for check in (*ssh.SHORT, *ssh.LONG):
        try:
            check(client)
        except (AssertionError, OSError) as error:
            failed += 1
            print(f"FAILED {what}: {check.__name__}: {error}", flush=True)
    count = len(ssh.SHORT) + len(ssh.LONG)
    print(f"{count - failed}/{count}  {time.monotonic() - began:5.1f} s  {what}", flush=True)
    return failed


@contextmanager
def _home(images: Images, kind: str) -> Iterator[tuple[Home, dict[str, ssh.Client]]]:
    image = images.ensure("ssh" if kind == KINDS[0] else "kernel")
    through = OfflineWhilePreparing if kind == KINDS[2] else lambda engine: engine
    made = ""
    if kind == KINDS[2]:
        # One that nobody has prepared yet.
        text = f"FROM {image}\nLABEL unique={uuid.uuid4()}\n"
        made = images.client.images.build(fileobj=io.BytesIO(text.encode()), rm=True)[0].id
    with tempfile.TemporaryDirectory(prefix="dl-", dir="/tmp") as scratch:
        home = Home(f"matrix-{uuid.uuid4().hex[:6]}", Path(scratch))
        key = ssh.make_key(home.directory / "laptop")
        try:
            home.launch(made or image, through=through)
            home.do(lambda environments: authorize(environments, "a", (key,)))
            with ssh.plain_sshd(home.directory, key) as port:
                before = ssh.laptop_settings(home.directory, port, getpass.getuser())
                jump = {"write": laptop_block, "before": before, "via": "gpuhost"}
                yield (
                    home,
                    {
                        "published": home.client(),
                        "stream": home.client(through_stream=True),
                        "ProxyJump": home.client(**jump),
                    },
                )
        finally:
            home.remove_all()
            for reference in (prepared_tag(made, sshd=True), made) if made else ():
                # The first takes the second along.
                with suppress(docker.errors.ImageNotFound):
                    images.client.images.remove(reference, force=True)


if __name__ == "__main__":
    sys.exit(main())
