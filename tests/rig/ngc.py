"""Fixtures: a registry that stands in for NVIDIA's, with images that follow its conventions."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest

from . import registry as registries
from . import registry_image, registry_token

REPOSITORY = "nvidia/pytorch"
_BASE = f"{REPOSITORY}:20.01-py3"
NGC = {
    "CUDA_VERSION": "13.0.2.006",
    "CUDA_DRIVER_VERSION": "580.95.05",
    "CUDA_ARCH_LIST": "8.0 8.6 9.0 10.0 12.0",
    "TORCH_CUDA_ARCH_LIST": "8.0 8.6 9.0 10.0 12.0+PTX",
    "NVIDIA_REQUIRE_CUDA": "cuda>=9.0",
}
#: Of layers: a few that take a moment, and many small ones.
SIZES = (3_000_000,) * 4 + (10_000,) * 8


@pytest.fixture(scope="session")
def ngc_registry(images):
    """Run a registry with a gate, which has an image that the engine has too."""
    with registry_token.serve(registries.get()) as gate:
        inner = f"{gate.upstream.address}/{_BASE}"
        images.client.images.get(images.ensure("ngc")).tag(inner)
        try:
            for line in images.client.images.push(inner, stream=True, decode=True):
                assert "error" not in line, line
            # It stays on the engine: only of what was at a registry does it know the layers.
            yield gate
        finally:
            images.client.images.remove(inner)


@pytest.fixture
def gate(ngc_registry):
    """Return the registry, in a good mood and with nothing counted yet."""
    ngc_registry.behaviour = registry_token.Behaviour()
    ngc_registry.traffic = registry_token.Traffic()
    return ngc_registry


@pytest.fixture
def publish(gate, images):
    """Return a function that puts a new image into the registry, and returns its name."""
    names = []

    def one(tag, sizes=SIZES, env=None, **changes):
        registry_image.extend(
            gate.upstream.address, _BASE, tag, sizes=sizes, env={**NGC, **(env or {})}, **changes
        )
        gate.traffic = registry_token.Traffic()
        names.append(f"{gate.address}/{REPOSITORY}:{tag}")
        return names[-1]

    yield one
    for name in names:
        with contextlib.suppress(Exception):
            images.client.images.remove(name)
        registry_image.remove(gate.upstream.address, REPOSITORY, name.rpartition(":")[2])


def save_login(home: Path, registry: str, user: str, password: str) -> None:
    """Do as ``docker login`` does."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    config = home / ".docker/config.json"
    config.write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
