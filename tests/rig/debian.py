"""Gets Debian packages: unpacked into a folder of their own, or installed where one is missing.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path


class PackageError(OSError):
    """A package cannot be had; says why in apt's words."""


KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def release() -> tuple[str, str]:
    """Return the distribution and its version, such as ``("debian", "12")``."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return "", ""
    values = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    return values.get("ID", ""), values.get("VERSION_ID", "")


def has_apt() -> bool:
    return shutil.which("apt-get") is not None


def archive() -> str:
    """Return the address of the Debian archive that this machine installs from."""
    for file in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        if file.suffix in (".list", ".sources") and file.is_file():
            found = re.search(
                r"^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(\S+/debian)/?(?:\s|$)",
                file.read_text(),
                re.MULTILINE,
            )
            if found:
                return found[1]
    raise PackageError("The apt sources of this machine name no Debian archive.")


def sources(*suites: str) -> str:
    """Return the text of a sources.list for these suites."""
    return "".join(f"deb [signed-by={KEYRING}] {archive()} {suite} main\n" for suite in suites)


def unpack(packages: tuple[str, ...], into: Path, *, suites: tuple[str, ...]) -> None:
    """Download packages (``name`` or ``name/suite``) and unpack them into a folder.

    Nothing is installed and apt's own state is not touched, so that neither root nor the
    machine's release of Debian matters.
    """
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dlenv-apt-") as scratch:
        state = Path(scratch)
        for name in ("lists/partial", "archives/partial", "debs"):
            (state / name).mkdir(parents=True)
        (state / "sources.list").write_text(sources(*suites))
        options = [
            f"Dir::Etc::sourcelist={state / 'sources.list'}",
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            f"Dir::State::lists={state / 'lists'}",
            f"Dir::Cache={state}",
            "APT::Sandbox::User=",
            # Snapshots of the archive, which CI machines are fond of, are expired by definition.
            "Acquire::Check-Valid-Until=false",
            "Acquire::Retries=3",
            "Acquire::Languages=none",
        ]
        apt = ["apt-get", "-qq", *(argument for option in options for argument in ("-o", option))]
        _run([*apt, "update"])
        _run([*apt, "download", *packages], cwd=state / "debs")
        for package in sorted((state / "debs").glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(into)])


def install(*packages: str) -> None:
    """Install packages on this machine, as root; of several processes, one after another."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
    # apt has locks of its own, and fails where it finds them taken.
    with Path(__file__).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _run(command, env=environment)
        except PackageError:
            # The lists may be older than the archive, or not there at all.
            _run(["apt-get", "update", "-qq"], env=environment)
            _run(command, env=environment)


def install_missing(**package_of_command: str) -> None:
    """Install the package of each command that is not there (``ip="iproute2"``)."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    packages = [
        package
        for command, package in package_of_command.items()
        if shutil.which(command, path=path) is None
    ]
    if packages:
        install(*packages)


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command silently; what it wrote is told only if it failed."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        check=False,
        timeout=600,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode:
        raise PackageError(f"{' '.join(command)} failed:\n{ended.stdout[-2000:]}")
