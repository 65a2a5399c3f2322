"""Installs the built wheel as a user does, without Node: ``python -m rig.wheel``.

JupyterLab starts with the extension, the extensions are enabled and found to be in order, a
kernel has ``%dlenv`` without being asked to load it, and an environment has a kernel and its logo.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Mapping
from pathlib import Path

from rig.shell import until
from rig.ssh import free_port

DIST = Path(__file__).resolve().parents[2] / "dist"
TOKEN = "a-token-of-the-check"
CELL = "%dlenv launch python --name a --no-mount\n%dlenv list\n"


def main() -> int:
    (wheel,) = DIST.glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB")
    with tempfile.TemporaryDirectory(prefix="dlenv-wheel-", dir="/tmp") as scratch:
        place = Path(scratch)
        venv.create(place / "venv", with_pip=True)
        # Nothing is on the path but what pip has put there: no Node, no compiler, no git.
        variables = {
            **{key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")},
            "PATH": str(place / "venv/bin"),
            "HOME": str(place),
            "DLENV_ENGINE": "process",
        }
        began = time.monotonic()
        _run("pip", "install", "-qq", "--cache-dir", _cache(), str(wheel), "jupyterlab>=4.4,<5",
             place=place, variables=variables)  # fmt: skip
        print(f"installed in {time.monotonic() - began:.0f} s")
        _look_at_extensions(place, variables)
        try:
            _look_at_kernel(place, variables)
            _look_at_lab(place, variables)
        finally:
            _run("jupyter", "dlenv", "remove", "a", "--yes", place=place, variables=variables)
    return 0


def _look_at_extensions(place: Path, variables: Mapping[str, str]) -> None:
    lab = _run("jupyter", "labextension", "list", place=place, variables=variables)
    server = _run("jupyter", "server", "extension", "list", place=place, variables=variables)
    _tell("jupyter labextension list", lab, "jupyter-dlenv", "enabled", "OK")
    _tell("jupyter server extension list", server, "jupyter_dlenv 0", "OK")
    assert "jupyter_dlenv enabled" in _plain(server), server


def _look_at_kernel(place: Path, variables: Mapping[str, str]) -> None:
    (place / "cell.py").write_text(CELL)
    said = _run("jupyter", "run", "cell.py", place=place, variables=variables)
    _tell("jupyter run cell.py", said, "'a' is ready")
    listed = json.loads(
        _run("jupyter", "dlenv", "kernelspec", "list", "--json", place=place, variables=variables)
    )
    logos = list(place.glob(".local/share/jupyter/dlenv/kernels/*/logo-svg.svg"))
    assert logos, listed
    print(f"kernelspec: {logos[0].parent.name}, with {logos[0].name}")


def _look_at_lab(place: Path, variables: Mapping[str, str]) -> None:
    port = free_port()
    with (place / "lab.log").open("wb") as log:
        lab = subprocess.Popen(
            [
                *(place / "venv/bin/jupyter-lab", "--no-browser", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
            ],
            cwd=place,
            env={**variables, "JUPYTER_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in until(60, f"JupyterLab:\n{(place / 'lab.log').read_text()[-2000:]}"):
            try:
                page = _get(port, "lab").decode()
                break
            except OSError:
                assert lab.poll() is None, (place / "lab.log").read_text()
        assert '"name": "jupyter-dlenv"' in page
        specs = json.loads(_get(port, "api/kernelspecs"))["kernelspecs"]
        known = json.loads(_get(port, "dlenv/api/environments"))["environments"]
        assert "dlenv-a" in specs
        assert ["a"] == [environment["name"] for environment in known]
        print("jupyter lab: the page has jupyter-dlenv, the REST API has the environment 'a'")
    finally:
        lab.terminate()
        lab.wait(30)


def _get(port: int, path: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}", headers={"Authorization": f"token {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read())


def _cache() -> str:
    """Return pip's own cache: the home here is another one."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def _run(*command: str, place: Path, variables: Mapping[str, str]) -> str:
    ended = subprocess.run(
        [str(place / "venv/bin" / command[0]), *command[1:]],
        cwd=place,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Jupyter's lists of extensions are on this one, and JSON is not.
        stderr=subprocess.PIPE if "--json" in command else subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if ended.returncode:
        sys.exit(f"$ {' '.join(command)}\n{ended.stdout}")
    return ended.stdout


def _tell(what: str, said: str, *words: str) -> None:
    line = next((line for line in _plain(said).splitlines() if all(w in line for w in words)), "")
    assert line, f"$ {what}\n{said}"
    print(f"{what}: {line.strip()}")


def _plain(text: str) -> str:
    return text.replace("\x1b[32m", "").replace("\x1b[0m", "")


if __name__ == "__main__":
    sys.exit(main())
