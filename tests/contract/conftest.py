"""Fixtures that open each engine, describe small containers, and remove what a test has made."""

from __future__ import annotations

import uuid

import pytest

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.engines.base import ContainerPlan

TEST_LABEL = "org.jupyter-dlenv.test"
FOREVER = "sleep 1000"


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def engine_kind(request):
    return request.param


@pytest.fixture
def engine(engine_kind, request, tmp_path, test_labels, jp_asyncio_loop):
    if engine_kind == "docker":
        request.getfixturevalue("images").ensure("bare")
        name = request.getfixturevalue("docker_engine_url")
    else:
        name = "process"
    engine = open_engine(name, data_dir=tmp_path)

    async def close():
        for state in await engine.list(test_labels):
            await engine.remove(state.id, volumes=test_labels)
        await engine.aclose()

    yield engine
    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def test_labels(run_id):
    """Return labels that only the containers of this test carry."""
    return {TEST_LABEL: f"{run_id}-{uuid.uuid4().hex[:6]}"}


@pytest.fixture
def plan(images_or_none, test_labels):
    """Return a function that plans a container that runs a shell script."""

    def make(script=FOREVER, **changes):
        arguments = {
            "name": f"contract-{uuid.uuid4().hex[:8]}",
            "image": images_or_none,
            "command": ("/bin/sh", "-c", script),
            "labels": test_labels,
        }
        return ContainerPlan(**{**arguments, **changes})

    return make


@pytest.fixture
def images_or_none(engine_kind, request):
    return request.getfixturevalue("images").ensure("bare") if engine_kind == "docker" else "none"


@pytest.fixture
def running(engine, plan):
    """Return a function that creates and starts a container."""

    async def run(script=FOREVER, **changes):
        container_id = await engine.create(plan(script, **changes))
        await engine.start(container_id)
        return container_id

    return run
