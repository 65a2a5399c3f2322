"""Everything that SSH is used for, by every way, on every kind of image, after every mishap.

The tests try each of these once and not all together, which takes an hour.  The figures are
measured in turns with a plain sshd of this machine, so that a busy machine is busy for all::

    cd tests
    ../.venv/bin/python -m benchmarks.ssh_matrix --rounds 3 --results matrix.jsonl
    ../.venv/bin/python -m benchmarks.ssh_matrix --rounds 3 --figures-only

What is in the file of results already is not done again, so a long run may be interrupted.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from rig import ask, ssh
from rig.images import Images
from rig.ssh_home import OfflineWhilePreparing, kill_a_kernel

from jupyter_dlenv.images.recipe import prepared_tag

from . import ssh_figures
from .ssh_ways import HOST, WAYS, Ways, open_ways

#: The kinds of image, by the names of their environments.
KINDS = {"server": "image with sshd", "layer": "layer", "carried": "carried in"}
MISHAPS = ("fresh", "after a restart", "after a kernel's death")
_CHECKS = (*ssh.SHORT, *ssh.LONG)


def main() -> int:
    """Try everything that is asked for; print the tables, and return how much failed."""
    options = _parse()
    url = ask.answering_url()
    if url is None:
        raise SystemExit("No Docker engine answers; `make engine-up` starts one.")
    results = Results(options.results)
    images = Images(url)
    with open_ways(url, options.ways) as ways:
        for number in range(1, options.rounds + 1):
            for name in options.kinds[:1] if options.figures_only else options.kinds:
                if not _is_complete(results, number, name, options):
                    with _environment(images, ways, name):
                        _one_round(results, ways, number, name, options)
    if not options.figures_only:
        print(f"\n{results.table()}")
    if not options.no_figures:
        print(f"\n{ssh_figures.table(results.figures())}")
    return results.failed()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--results", type=Path, help="one line of JSON for each result")
    parser.add_argument("--figures-only", action="store_true", help="no checks; two minutes")
    parser.add_argument("--no-figures", action="store_true")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    return parser.parse_args()


class Results:
    """What was found, in memory and in a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self._found: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, key: tuple[str, ...], **values: object) -> None:
        self._found.append({"key": list(key), **values})
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps(self._found[-1]) + "\n")

    def has(self, *key: str) -> bool:
        return any(result["key"] == list(key) for result in self._found)

    def failed(self) -> int:
        return sum(len(result.get("failed", ())) for result in self._found)

    def figures(self) -> Iterator[tuple[str, ssh_figures.Figures]]:
        for result in self._found:
            if "figures" in result:
                yield result["key"][-1], result["figures"]

    def table(self) -> str:
        """Return Markdown: how many checks passed, by way and kind of image."""
        cells: dict[tuple[str, str], list[int]] = {}
        for result in self._found:
            if "failed" in result:
                _, kind, _, way = result["key"]
                passed = cells.setdefault((way, kind), [0, 0])
                passed[0] += len(_CHECKS) - len(result["failed"])
                passed[1] += len(_CHECKS)
        lines = [f"| way | {' | '.join(KINDS.values())} |", "| --- | --- | --- | --- |"]
        for way in WAYS:
            row = [cells.get((way, kind)) for kind in KINDS]
            shown = " | ".join(f"{cell[0]} of {cell[1]}" if cell else "-" for cell in row)
            lines.append(f"| {way} | {shown} |")
        return "\n".join(lines)


def _todo(
    number: int, name: str, options: argparse.Namespace
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield mishaps, each with the key of a result that is wanted after it."""
    for mishap in MISHAPS:
        if not options.figures_only:
            for way in options.ways:
                yield mishap, (str(number), name, mishap, way)
        if mishap == "fresh" and name == options.kinds[0] and not options.no_figures:
            for way in (HOST, *options.ways):
                yield mishap, (str(number), "figures", way)


def _is_complete(results: Results, number: int, name: str, options: argparse.Namespace) -> bool:
    return all(results.has(*key) for _, key in _todo(number, name, options))


def _one_round(
    results: Results, ways: Ways, number: int, name: str, options: argparse.Namespace
) -> None:
    happened = "fresh"
    for mishap, key in _todo(number, name, options):
        if results.has(*key):
            continue
        if mishap != happened:
            happened = mishap
            _happen(mishap, ways, name)
        way = key[-1]
        client = ways.host() if way == HOST else ways.client(way, name)
        if "figures" in key:
            results.add(key, figures=ssh_figures.measure(client))
        else:
            _try(results, key, client)


def _happen(mishap: str, ways: Ways, name: str) -> None:
    if mishap == MISHAPS[1]:
        ways.home.do(lambda environments: environments.restart(name))
    elif mishap == MISHAPS[2]:
        ways.home.do(lambda environments: kill_a_kernel(environments, name))


def _try(results: Results, key: tuple[str, ...], client: ssh.Client) -> None:
    failed = []
    began = time.monotonic()
    for check in _CHECKS:
        try:
            check(client)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed.append(f"{check.__name__}: {error}")
            print(f"FAILED {', '.join(key)}: {failed[-1]}", flush=True)
    seconds = time.monotonic() - began
    results.add(key, failed=failed, seconds=round(seconds, 1))
    passed = f"{len(_CHECKS) - len(failed)}/{len(_CHECKS)}"
    print(f"{passed}  {seconds:5.1f} s  {', '.join(key)}", flush=True)


@contextmanager
def _environment(images: Images, ways: Ways, name: str) -> Iterator[None]:
    """Launch an environment of an image of that kind; both are gone at the end."""
    image = images.ensure("ssh" if name == "server" else "kernel")
    made = ""
    if name != "server":
        # One that nobody has prepared yet.
        text = f"FROM {image}\nLABEL unique={uuid.uuid4()}\n"
        made = images.client.images.build(fileobj=io.BytesIO(text.encode()), rm=True)[0].id
    through = OfflineWhilePreparing if name == "carried" else lambda engine: engine
    try:
        ways.home.launch(made or image, name, through=through)
        ways.let_in(name)
        _is_what_it_shall_be(ways, name)
        yield
    finally:
        ways.home.remove_all()
        for reference in (prepared_tag(made, sshd=True), made) if made else ():
            # The first takes the second along.
            with suppress(docker.errors.ImageNotFound):
                images.client.images.remove(reference, force=True)


def _is_what_it_shall_be(ways: Ways, name: str) -> None:
    """See that a layer has not become a server that was carried in, and the other way round."""
    said = ways.client(WAYS[0], name).run("test -e /usr/sbin/sshd && echo own || echo carried")
    assert said.strip() == (b"carried" if name == "carried" else b"own"), said


if __name__ == "__main__":
    sys.exit(min(main(), 100))
