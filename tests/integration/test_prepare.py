"""Any image gets a kernel, and nothing of this machine stays in it."""

from __future__ import annotations

import asyncio
import io
import ssl
import time
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.engines.base import ContainerPlan, ImageFacts
from jupyter_dlenv.errors import (
    BuildFailedError,
    ImageNotFoundError,
    ImageUnsupportedError,
    InvalidSpecError,
)
from jupyter_dlenv.images.prepare import PreparedImage, build_directory, prepare_image
from jupyter_dlenv.images.recipe import prepared_tag

#: Installing a kernel is ten seconds of work for one core; on a busy machine, minutes.
pytestmark = [pytest.mark.timeout(400), pytest.mark.shares_engine]

TEST_LABEL = "org.jupyter-dlenv.test"
BUNDLE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

#: What images do that has broken other tools, all at once.
AWKWARD = """
RUN useradd --create-home --uid 1000 ubuntu && mkdir /etc/pip && echo 'tornado<1' > /etc/pip/pins
ENV PIP_CONSTRAINT=/etc/pip/pins PIP_REQUIRE_VIRTUALENV=1
RUN printf '#!/bin/sh\\necho "I only serve."\\n' > /serve && chmod +x /serve
ENTRYPOINT ["/serve"]
SHELL ["/bin/false"]
WORKDIR /workspace
USER ubuntu
"""


class WatchedEngine:
    """A real engine that counts its builds and may refuse containers a network."""

    def __init__(self, engine, *, network=True):
        self._engine = engine
        self._network = network
        self.builds = 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def create(self, plan):
        return await self._engine.create(replace(plan, network=plan.network and self._network))

    async def build(self, **arguments):
        self.builds += 1
        return await self._engine.build(**arguments)


@dataclass(frozen=True)
class Prepared:
    base: ImageFacts
    images: tuple[PreparedImage, ...]
    builds: int
    bundle_marker: bytes


@asynccontextmanager
async def opened(url, *, network=True):
    engine = open_engine(url, data_dir=Path("/nonexistent"))
    try:
        await engine.probe()
        yield WatchedEngine(engine, network=network)
    finally:
        await engine.aclose()


@pytest.fixture(scope="module")
def new_image(images):
    """Return a function that builds an image nobody has prepared; both go at the end."""
    ids = []

    def build(base, lines=""):
        dockerfile = f"FROM {images.ensure(base)}\n{lines}\nLABEL unique={uuid.uuid4()}\n"
        image, _ = images.client.images.build(
            fileobj=io.BytesIO(dockerfile.encode()), rm=True, forcerm=True
        )
        ids.append(image.id)
        return image.id

    yield build
    for image_id in ids:
        _remove_with_all_above(images.client, image_id)


@pytest.fixture
def engine(docker_engine_url, jp_asyncio_loop):
    opening = opened(docker_engine_url)
    yield jp_asyncio_loop.run_until_complete(opening.__aenter__())
    jp_asyncio_loop.run_until_complete(opening.__aexit__(None, None, None))


@pytest.fixture
def prepare(run_id, tmp_path):
    """Return ``prepare_image`` with a memory of this test's own."""

    async def prepare(engine, reference, *, report=lambda _: None, cache_dir=tmp_path / "images"):
        image = await engine.inspect_image(reference)
        return await prepare_image(
            engine, image, labels={TEST_LABEL: run_id}, cache_dir=cache_dir, report=report
        )

    return prepare


@pytest.fixture(scope="module")
def awkward(docker_engine_url, new_image, run_id, tmp_path_factory):
    """Prepare an awkward image, twice at the same time, with a CA bundle that can be told apart."""
    marker = f"dlenv-{uuid.uuid4()}"
    bundle = tmp_path_factory.mktemp("ca") / "bundle.pem"
    trusted = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    bundle.write_text(f"# {marker}\n{Path(trusted).read_text()}")

    async def both():
        async with opened(docker_engine_url) as engine:
            base = await engine.inspect_image(new_image("python", AWKWARD))
            arguments = {
                "labels": {TEST_LABEL: run_id},
                "cache_dir": tmp_path_factory.mktemp("images"),
                "report": lambda _: None,
            }
            preparing = (prepare_image(engine, base, **arguments) for _ in range(2))
            images = tuple(await asyncio.gather(*preparing))
            return Prepared(base, images, engine.builds, marker.encode())

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in BUNDLE_VARIABLES:
            monkeypatch.setenv(name, str(bundle))
        return asyncio.run(both())


async def python_says(engine, prepared, code, run_id):
    bypass = prepared.probe.entrypoint_runs_commands
    result = await engine.run(
        ContainerPlan(
            name=f"dlenv.test.{uuid.uuid4().hex[:8]}",
            image=prepared.image_id,
            entrypoint=None if bypass else (),
            command=(prepared.probe.python, "-c", code),
            labels={TEST_LABEL: run_id},
            network=False,
        ),
        timeout=60,
    )
    assert result.exit_code == 0, result.stderr.decode()
    return result.stdout.decode().strip()


async def test_an_image_with_a_kernel_is_left_alone(engine, images, prepare):
    prepared = await prepare(engine, images.ensure("kernel"))

    assert (await engine.inspect_image(images.ensure("kernel"))).id == prepared.image_id
    assert prepared.probe.ipykernel
    assert not prepared.derived_from
    assert not prepared.dockerfile
    assert 0 == engine.builds


async def test_a_kernel_is_added_for_the_python_and_the_user_of_the_image(engine, awkward, run_id):
    prepared = awkward.images[0]

    said = await python_says(
        engine, prepared, "import ipykernel, getpass; print(getpass.getuser())", run_id
    )

    assert "ubuntu" == said
    assert awkward.base.id == prepared.derived_from
    assert prepared.dockerfile.startswith("# Adds a Jupyter kernel")


async def test_what_the_image_says_of_itself_is_kept(engine, awkward):
    prepared = await engine.inspect_image(awkward.images[0].image_id)

    assert awkward.base.user == prepared.user == "ubuntu"
    assert awkward.base.env == prepared.env
    assert awkward.base.workdir == prepared.workdir
    assert awkward.base.entrypoint == prepared.entrypoint


async def test_an_entrypoint_that_runs_no_commands_is_remembered(awkward):
    assert not awkward.images[0].probe.entrypoint_runs_commands


async def test_launches_at_once_build_once(awkward):
    assert awkward.images[0] == awkward.images[1]
    assert 1 == awkward.builds


async def test_the_certificates_of_this_machine_are_in_no_layer(images, awkward):
    image = images.client.images.get(awkward.images[0].image_id)

    in_layers = await asyncio.to_thread(
        _found, image, (awkward.bundle_marker, b"ipykernel_launcher")
    )

    assert {b"ipykernel_launcher"} == in_layers
    assert awkward.bundle_marker.decode() not in str(image.history())


async def test_another_process_finds_the_prepared_image(engine, awkward, prepare, tmp_path):
    again = await prepare(engine, awkward.base.id, cache_dir=tmp_path / "another")

    assert awkward.images[0] == again
    assert 0 == engine.builds


async def test_a_second_launch_does_not_wait(engine, awkward, prepare):
    await prepare(engine, awkward.base.id)
    started = time.monotonic()

    await prepare(engine, awkward.base.id)

    assert time.monotonic() - started < 0.5


@pytest.mark.slow
async def test_an_image_without_python_gets_one(engine, new_image, prepare, run_id):
    """Earns: images that only have CUDA in them are half of NVIDIA's catalogue."""
    messages = []

    prepared = await prepare(
        engine, new_image("bare"), report=lambda progress: messages.append(progress.message)
    )

    said = await python_says(
        engine, prepared, "import ipykernel, pip, sys; print(sys.executable)", run_id
    )
    assert "/usr/bin/python3" == said == prepared.probe.python
    assert {"Downloading Python", "Downloading the Jupyter kernel"} <= set(messages)


@pytest.mark.slow
async def test_without_a_network_in_containers_this_machine_downloads(
    docker_engine_url, new_image, prepare, run_id
):
    """Earns: hosts where only the proxy of the user's shell leads outside."""
    async with opened(docker_engine_url, network=False) as engine:
        prepared = await prepare(engine, new_image("python"))

        said = await python_says(engine, prepared, "import ipykernel; print('here')", run_id)

    assert "here" == said


@pytest.mark.parametrize("moment", ["Downloading the Jupyter kernel", "Step 3"])
async def test_a_cancelled_preparation_leaves_nothing(engine, new_image, prepare, run_id, moment):
    image_id = new_image("python")
    reached = asyncio.Event()

    def report(progress):
        if progress.message.startswith(moment):
            reached.set()

    preparing = asyncio.create_task(prepare(engine, image_id, report=report))
    await asyncio.wait_for(reached.wait(), 120)
    preparing.cancel()
    with suppress(asyncio.CancelledError):
        await preparing

    assert preparing.cancelled()
    with pytest.raises(ImageNotFoundError):
        await engine.inspect_image(prepared_tag(image_id))
    assert () == await engine.list({TEST_LABEL: run_id})


async def test_an_image_without_a_shell_is_refused(engine, images, prepare):
    reference = images.ensure("tiny")

    with pytest.raises(ImageUnsupportedError, match="no shell"):
        await prepare(engine, reference)


async def test_a_system_that_cannot_be_extended_is_refused(engine, new_image, prepare):
    image_id = new_image("bare", "RUN rm /etc/os-release && echo ID=haiku > /etc/os-release")

    with pytest.raises(ImageUnsupportedError, match="haiku"):
        await prepare(engine, image_id)


async def test_a_directory_is_built(engine, images, tmp_path):
    reference = images.ensure("kernel")
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\nRUN echo built > /built\n")

    built = await build_directory(
        engine, str(tmp_path), name="test-", labels={TEST_LABEL: "build"}, report=lambda _: None
    )

    assert "dlenv/build:test-" in built.tags
    assert "build" == built.labels[TEST_LABEL]
    await asyncio.to_thread(images.client.images.remove, "dlenv/build:test-", force=True)


async def test_the_step_that_failed_is_shown(engine, images, tmp_path):
    reference = images.ensure("kernel")
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\nRUN echo oh no >&2; exit 3\n")

    with pytest.raises(BuildFailedError) as failed:
        await build_directory(engine, str(tmp_path), name="test", labels={}, report=lambda _: None)

    assert "oh no" in failed.value.detail


@pytest.mark.parametrize(("directory", "missing"), [("none", "no directory"), (".", "Dockerfile")])
async def test_a_directory_without_a_dockerfile_is_refused(engine, tmp_path, directory, missing):
    with pytest.raises(InvalidSpecError, match=missing):
        await build_directory(
            engine, str(tmp_path / directory), name="test", labels={}, report=lambda _: None
        )


def _remove_with_all_above(client: docker.DockerClient, image_id: str) -> None:
    # A cancelled build leaves the steps that were complete, as ``docker build`` does.
    for image in client.api.images(all=True):
        if image["ParentId"] == image_id:
            _remove_with_all_above(client, image["Id"])
    # The engine removes an image without a tag together with the last one above it.
    with suppress(docker.errors.ImageNotFound):
        client.images.remove(image_id, force=True)


def _found(image: docker.models.images.Image, wanted: tuple[bytes, ...]) -> set[bytes]:
    found = set()
    rest = b""
    for chunk in image.save():
        text = rest + chunk
        found |= {word for word in wanted if word in text}
        rest = text[-100:]
    return found
