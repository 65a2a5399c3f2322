"""Finds the programs of an engine: unpacked from Debian's packages, or installed.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from . import debian
from .profiles import ROOT, Profile
from .shell import run


class CannotError(Exception):
    """There is no engine, and none can be started here; says why."""


def find(profile: Profile) -> Path:
    """Return the folder that has usr/bin/dockerd, and see to the tools that dockerd calls."""
    tools = {"iptables": "iptables", "ip": "iproute2"}
    if debian.release() == ("debian", "12"):
        # dmsetup brings the one library that Debian's own dockerd wants.
        debian.install_missing(**tools, dmsetup="dmsetup")
        return get(profile.release)
    if not debian.has_apt():
        raise CannotError("No Docker engine answers, and this is neither Debian nor Ubuntu.")
    # The main engine only: why_not keeps the others to Debian 12.
    debian.install_missing(dockerd="docker.io", **tools)
    return Path("/")


def get(release: str) -> Path:
    """Return the folder of an engine's programs, unpacked from Debian's packages at first use."""
    programs = ROOT / "programs" / release
    if not programs.is_dir():
        scratch = programs.with_name(f"{release}.{os.getpid()}")
        try:
            if release == "28":
                _unpack_modern(scratch, programs)
            else:
                packages = ("docker.io", "containerd", "runc", "tini")
                debian.unpack(packages, scratch, suites=("bookworm",))
            with contextlib.suppress(OSError):  # another process was faster
                scratch.rename(programs)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return programs


def _unpack_modern(scratch: Path, programs: Path) -> None:
    """Unpack Docker 28 of a newer Debian, to run on this Debian's own libc.

    Of its programs only runc wants a newer libc, so runc alone is given one.
    """
    newer = ("docker.io", "docker-cli", "containerd", "runc", "tini-static", "libc6", "libseccomp2")
    packages = (*(f"{name}/forky" for name in newer), "patchelf/bookworm")
    debian.unpack(packages, scratch, suites=("bookworm", "forky"))
    libraries = scratch / "lib-of-runc"
    libraries.mkdir()
    for pattern in ("ld-linux*.so.*", "libc.so.6", "libseccomp.so.2"):
        found = next(scratch.glob(f"usr/lib*/**/{pattern}"))
        shutil.copy(found.resolve(), libraries / found.name)
    loader = next(libraries.glob("ld-linux*"))
    home = programs / libraries.name
    run(
        str(scratch / "usr/bin/patchelf"),
        *("--set-interpreter", str(home / loader.name), "--force-rpath"),
        *("--set-rpath", str(home), str(scratch / "usr/sbin/runc")),
    )
    for leftover in ("usr/share", "usr/lib"):
        shutil.rmtree(scratch / leftover)
