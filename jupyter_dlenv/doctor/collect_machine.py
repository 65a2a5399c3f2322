"""Facts of the machine that Jupyter runs on, and of our own parts."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from jupyter_core.paths import jupyter_path

from .. import __version__
from ..here import in_container
from .facts import MachineReport, PartsReport

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_FIRST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_LONGEST_RUNTIME_DIR = 81
_PACKAGES = (
    *("docker", "ipykernel", "jupyter_client", "jupyter_server", "jupyterlab", "nvidia-ml-py"),
    "pynvml",
)


def machine_report(runtime_dir: Path, data_dir: Path, host_ports: tuple[int, int]) -> MachineReport:
    """Look at this machine; blocks."""
    certificates = {v: path for v in _CERTIFICATES if (path := os.environ.get(v))}
    # A test or a container may have no such file.
    first_port = 1024
    with suppress(OSError, ValueError):
        first_port = int(_FIRST_PORT.read_text())
    return MachineReport(
        system=platform.platform(),
        architecture=platform.machine(),
        uid=os.getuid(),
        in_container=in_container(),
        shm_size=_disk("/dev/shm")[0],  # noqa: S108 asked about, not written to
        proxies=tuple(k for k in sorted(os.environ) if k.lower() in _PROXIES and os.environ[k]),
        ca_missing=tuple(f"{v}={p}" for v, p in certificates.items() if not Path(p).exists()),
        ca_own=tuple(f"{v}={p}" for v, p in certificates.items() if _is_own(Path(p))),
        runtime_dir=str(runtime_dir),
        runtime_dir_trouble=_too_long(runtime_dir) or _trouble(runtime_dir),
        data_dir=str(data_dir),
        data_dir_trouble=_trouble(data_dir),
        data_free=_disk(str(_existing(data_dir)))[1],
        loopback=_loopback_opens(),
        host_ports=host_ports,
        unprivileged_from=first_port,
    )


def parts_report() -> PartsReport:
    """Look at what is installed; blocks."""
    packages = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return PartsReport(
        version=__version__,
        python=platform.python_version(),
        packages=packages,
        unmet=_unmet(),
        front_end=_front_end(),
    )


def _is_own(certificates: Path) -> bool:
    # Those of the system are what engines take too.
    system = any(certificates.is_relative_to(d) for d in ("/etc/ssl", "/etc/pki", "/usr/share"))
    return certificates.exists() and not system


def _trouble(directory: Path) -> str:
    """Return why nothing can be written there, or nothing; it may not exist yet."""
    there = _existing(directory)
    if not there.is_dir():
        return f"{there} is not a directory."
    if there == directory and there.stat().st_uid != os.getuid():
        return "It belongs to somebody else."
    return "" if os.access(there, os.W_OK | os.X_OK) else f"You may not write to {there}."


def _too_long(directory: Path) -> str:
    length = len(os.fsencode(directory))
    return f"Its path has {length} bytes." if length > _LONGEST_RUNTIME_DIR else ""


def _existing(path: Path) -> Path:
    """Return the path, or the nearest one above it that exists."""
    return next((p for p in (path, *path.parents) if p.exists()), Path("/"))


def _disk(path: str) -> tuple[int | None, int | None]:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None, None
    return usage.total, usage.free


def _loopback_opens() -> bool:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError:
        return False
    return True


def _unmet() -> tuple[str, ...]:
    """Return those of our requirements that are not installed as we want them."""
    # Imported here: it comes with jupyter_server, and may be what is missing.
    from packaging.requirements import Requirement  # noqa: PLC0415

    unmet = []
    try:
        required = metadata.requires("jupyter_dlenv") or []
    except metadata.PackageNotFoundError:
        return ()
    for text in required:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found = ""
        if not found or not requirement.specifier.contains(found, prereleases=True):
            unmet.append(f"{requirement.name}{requirement.specifier} ({found or 'missing'})")
    return tuple(unmet)


def _front_end() -> str:
    for directory in jupyter_path("labextensions"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            text = (Path(directory) / "jupyter-dlenv/package.json").read_text(encoding="utf-8")
            return str(json.loads(text)["version"])
    return ""
