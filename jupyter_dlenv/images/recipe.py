"""The Dockerfile that adds a Jupyter kernel and an SSH server to an image."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from enum import Enum

from ..engines.base import ImageFacts
from ..errors import ImageUnsupportedError
from .distributions import DISTRIBUTIONS, PARTS
from .probe import ImageProbe

#: Counts up when the Dockerfile changes, so that images of older recipes are not used.
RECIPE = "1"
#: Where this machine's own SSH server is put, if there are no packages to be had.
CARRIED = "/opt/dlenv/sshd"

#: The first pip that minds that a Python belongs to its distribution, unless told otherwise.
_KNOWS_MANAGED = (23, 0, 1)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?\Z")


class Sshd(Enum):
    """How an SSH server is added to an image."""

    NOT = "not"
    PACKAGES = "packages"
    CARRIED = "carried"


def prepared_tag(image_id: str, *, sshd: bool = False) -> str:
    """Return the name of the image that this recipe makes of another.

    Args:
        sshd: It gets an SSH server, in whatever way.
    """
    text = f"{image_id} {RECIPE}{' sshd' if sshd else ''}"
    return f"dlenv/prepared:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def packages(probe: ImageProbe) -> tuple[str, ...]:
    """Return the Python packages that the image lacks."""
    return ("ipykernel",) if probe.pip else ("ipykernel", "pip")


def dockerfile(image: ImageFacts, probe: ImageProbe, *, sshd: Sshd = Sshd.NOT) -> str:
    """Return the Dockerfile; everything it needs lies in ``parts/`` and ``carried/`` beside it.

    Raises:
        ImageUnsupportedError: The image's USER cannot be written down again.
    """
    if image.user and not _USER.match(image.user):
        raise ImageUnsupportedError(f"The image has a USER that makes no sense: {image.user!r}.")
    name = image.tags[0] if image.tags else image.id
    kernel = not probe.ipykernel
    what = [*["a Jupyter kernel"] * kernel, *["an SSH server"] * (sshd is not Sshd.NOT)]
    lines = [
        f"# Adds {' and '.join(what)} to {name}. Written by jupyter_dlenv.",
        f"FROM {image.id}",
    ]
    if image.user:
        lines.append("USER root")
    if sshd is Sshd.CARRIED:
        lines.append(f"COPY carried/ {CARRIED}/")
    if kernel or sshd is Sshd.PACKAGES:
        lines.append(f"COPY parts/ {PARTS}/")
        if sshd is Sshd.PACKAGES:
            lines.append(_run(DISTRIBUTIONS[probe.os_family].install_server))
        elif not probe.python:
            lines.append(_run(DISTRIBUTIONS[probe.os_family].install))
        if kernel:
            lines.append(_run(_install_wheels(probe)))
        lines.append(_run(f"rm -rf {PARTS}"))
    if image.user:
        lines.append(f"USER {image.user}")
    return "\n".join(lines) + "\n"


def _install_wheels(probe: ImageProbe) -> str:
    python = shlex.quote(probe.python or DISTRIBUTIONS[probe.os_family].python_path)
    pip = "-m pip" if probe.pip else f"$(echo {PARTS}/pip-*.whl)/pip"
    # NGC's images pin every package by a variable, which would forbid what a kernel needs.
    # Neither variables nor files of pip's settings matter to an installation from files.
    options = (
        f"--isolated install --no-index --find-links={PARTS}"
        " --no-cache-dir --disable-pip-version-check"
    )
    if not probe.pip or _release(probe.pip) >= _KNOWS_MANAGED:
        options += " --break-system-packages"
    return f"PIP_CONFIG_FILE=/dev/null {python} {pip} {options} {' '.join(packages(probe))}"


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", version)[:3])


def _run(command: str) -> str:
    # Not the shell form: an image may have set SHELL to something that is no shell.
    return f"RUN {json.dumps(['/bin/sh', '-c', command])}"
