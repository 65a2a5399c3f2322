"""The kernelspecs of environments: how each looks in a launcher, and which environment it means."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from ..models import Environment

PROVISIONER = "dlenv-provisioner"
#: In the metadata of kernelspecs that need no provisioner.
INSTALLED = "jupyter_dlenv"

#: The last part of a repository, its name for people, and its logo.
_FRAMEWORKS = {
    "pytorch": ("PyTorch", "pytorch"),
    "tensorflow": ("TensorFlow", "tensorflow"),
    "jax": ("JAX", "jax"),
    "rapidsai": ("RAPIDS", "rapids"),
    "cuda": ("CUDA", "cuda"),
    "cuda-dl-base": ("CUDA", "cuda"),
    "tensorrt": ("TensorRT", "cuda"),
    "python": ("Python", "python"),
}


class KernelSpecs:
    """A directory with one kernelspec for each environment.

    All methods touch the disk, and belong in a thread.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, environment: Environment) -> Path:
        """Write or renew the kernelspec of an environment; return its directory."""
        return _write(self.directory, environment, _kernel_json(environment))

    def remove(self, name: str, *, engine: str) -> None:
        """Remove the kernelspec of an environment of an engine, if it is there."""
        directory = self.directory / f"dlenv-{name}"
        if _engine_of(directory) == engine:
            shutil.rmtree(directory, ignore_errors=True)

    def names(self) -> frozenset[str]:
        """Return the names of all kernelspecs in the directory."""
        if not self.directory.is_dir():
            return frozenset()
        return frozenset(directory.name for directory in self.directory.iterdir())

    def sync(
        self, environments: Iterable[Environment], *, engine: str, known: frozenset[str]
    ) -> None:
        """Write what is missing and remove the kernelspecs of environments that are gone.

        Args:
            environments: All of one engine.
            engine: Its name; the kernelspecs of other engines are left alone.
            known: The names from before the environments were listed: what has been written
                since belongs to an environment that the list could not have.
        """
        wanted = {environment.kernel_name: environment for environment in environments}
        for environment in wanted.values():
            self.write(environment)
        for name in known - wanted.keys():
            if _engine_of(self.directory / name) == engine:
                shutil.rmtree(self.directory / name, ignore_errors=True)


def install(directory: Path, environment: Environment) -> Path:
    """Write a kernelspec that works in any Jupyter program; return its directory.

    What such a program starts is a process of this very Python, which stands in for the
    kernel: the program's own need not have jupyter_dlenv.
    """
    bridge = [sys.executable, "-m", "jupyter_dlenv.kernels.bridge"]
    spec = {
        **_kernel_json(environment),
        "argv": [
            *bridge,
            *("--engine", environment.engine, "-f", "{connection_file}", environment.name),
        ],
        "metadata": {
            "debugger": True,
            INSTALLED: {"environment": environment.name, "engine": environment.engine},
        },
    }
    return _write(directory, environment, spec)


def meaning(kernel_json: Path) -> tuple[str, str, dict[str, Any]] | None:
    """Return which environment of which engine a kernelspec means, and all that it says.

    ``None`` for a kernelspec of anybody else.
    """
    try:
        spec = json.loads(kernel_json.read_text(encoding="utf-8"))
        metadata = spec["metadata"]
        config = metadata.get(INSTALLED)
        if config is None:
            provisioner = metadata["kernel_provisioner"]
            if provisioner["provisioner_name"] != PROVISIONER:
                return None
            config = provisioner["config"]
        return str(config["environment"]), str(config["engine"]), spec
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def display_name(environment: Environment) -> str:
    """Return how people call the kernel, such as ``PyTorch 25.10 · 2 GPUs (bert)``.

    The environment's name is always there: two environments of one image are the rule, not
    the exception, and a plain list of kernels shows nothing else of them.
    """
    framework, _ = _framework(environment)
    repository, _, tag = environment.spec.image.partition("@")[0].rpartition("/")[2].partition(":")
    version = re.match(r"v?(\d+(?:\.\d+)+)", tag)
    parts = [framework or repository]
    if version:
        parts.append(version[1])
    gpus = len(environment.gpu_uuids)
    if gpus:
        parts.append(f"· {gpus}\N{NO-BREAK SPACE}GPU{'s' if gpus > 1 else ''}")
    return f"{' '.join(parts)} ({environment.name})"


def _kernel_json(environment: Environment) -> dict[str, Any]:
    return {
        # Never run: the provisioner asks the environment's agent instead.
        "argv": ["jupyter-dlenv-kernel", environment.name],
        "display_name": display_name(environment),
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {
            "debugger": True,
            "kernel_provisioner": {
                "provisioner_name": PROVISIONER,
                "config": {"environment": environment.name, "engine": environment.engine},
            },
        },
    }


def _write(directory: Path, environment: Environment, spec: dict[str, Any]) -> Path:
    target = directory / environment.kernel_name
    content = json.dumps(spec, indent=1)
    written = target / "kernel.json"
    if written.is_file() and written.read_text(encoding="utf-8") == content:
        return target
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    logo = resources.files(__package__) / "logos" / f"{_framework(environment)[1]}.svg"
    _replace(target / "logo-svg.svg", logo.read_bytes())
    # The last, for Jupyter lists this directory at any moment: without it there is no spec.
    _replace(written, content.encode())
    return target


def _framework(environment: Environment) -> tuple[str, str]:
    """Return the name of the image's framework, or empty, and that of a logo."""
    path = environment.spec.image.partition("@")[0].split("/")
    for part in reversed(path):
        known = _FRAMEWORKS.get(part.partition(":")[0])
        if known:
            return known
    return "", "container"


def _replace(path: Path, content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as made:
        new = Path(made) / path.name
        new.write_bytes(content)
        new.replace(path)


def _engine_of(directory: Path) -> str | None:
    """Return the engine of a kernelspec of ours; ``None`` for anybody else's."""
    found = meaning(directory / "kernel.json")
    return found[1] if found else None
