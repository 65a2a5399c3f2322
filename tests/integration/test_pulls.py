"""Fetching an image as NVIDIA's from a registry that wants tokens, is slow, and dies."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

import pytest
from rig.ngc import REPOSITORY, SIZES, save_login
from rig.registry_token import Traffic

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.errors import (
    ImageNotFoundError,
    RegistryRefusedError,
    RegistryUnreachableError,
)
from jupyter_dlenv.images.catalogue import Catalogue
from jupyter_dlenv.images.fit import Host, HostGpu
from jupyter_dlenv.images.library import ImageLibrary
from jupyter_dlenv.policy import Policy

SLOW = 1_500_000
H100 = Host(
    driver="580.95.05", cuda="13.0", gpus=(HostGpu(name="NVIDIA H100 80GB HBM3", capability="9.0"),)
)
OLD = Host(
    driver="535.183.01",
    cuda="12.2",
    gpus=(HostGpu(name="NVIDIA GeForce RTX 3090", capability="8.6"),),
)


@pytest.fixture
def open_library(docker_engine_url, gate, tmp_path, jp_asyncio_loop):
    """Return a function that opens the library of a process, on a host."""
    opened = []

    def one(host=H100):
        engine = open_engine(docker_engine_url, data_dir=tmp_path)

        async def read_host(facts):
            return replace(host, architecture=facts.architecture)

        library = ImageLibrary(
            engine,
            policy=Policy(),
            catalogue=Catalogue.load(registry=gate.address),
            read_host=read_host,
        )
        opened.append((library, engine))
        return library

    async def close():
        for library, engine in opened:
            await library.aclose()
            await engine.aclose()

    yield one
    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def library(open_library):
    return open_library()


class Reports(list):
    """What a pull has reported; none of its numbers may ever go back."""

    def __call__(self, progress):
        if self:
            assert progress.current >= self[-1].current
            assert progress.total >= self[-1].total
        self.append(progress)

    @property
    def counted(self):
        """Return the reports since the engine has begun."""
        return [report for report in self if report.layers]

    async def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not (self and condition(self[-1])):
            assert time.monotonic() < end, self[-1:]
            await asyncio.sleep(0.02)


async def test_what_the_sheet_says_is_what_is_fetched(library, publish, gate):
    """Layers that the engine has from another image are neither fetched nor counted."""
    name = publish("25.02-py3")
    reports = Reports()

    sheet = await library.sheet(name)
    gate.traffic = Traffic()
    await library.fetch(name, reports, sheet=sheet)

    assert gate.traffic.blobs == pytest.approx(sheet.download, rel=0.01)
    assert sum(SIZES) < sheet.download < sheet.whole
    assert reports.counted[0].total == reports[-1].total == reports[-1].current
    assert (await library.sheet(name)).download == 0


async def test_speed_and_time_left_are_known_in_the_middle(library, publish, gate):
    name = publish("25.03-py3")
    gate.behaviour.rate = SLOW
    reports = Reports()

    sheet = await library.sheet(name)
    began = time.monotonic()
    await library.fetch(name, reports, sheet=sheet)
    took = time.monotonic() - began

    middle = next(r for r in reports if r.current > r.total / 2)
    # The rate is that of each layer, and engines fetch three at once.
    assert SLOW / 3 < middle.speed < 4 * SLOW
    assert 0 < middle.seconds_left < took
    assert {x.state for r in reports for x in r.layers} >= {"Downloading", "Pull complete"}
    assert reports[-1].seconds_left == 0


async def test_a_cancelled_pull_ends_within_a_second(library, publish, gate):
    name = publish("25.04-py3")
    gate.behaviour.rate = SLOW
    reports = Reports()
    pull = asyncio.create_task(library.fetch(name, reports))
    await reports.until(lambda r: r.current > 0)

    began = time.monotonic()
    pull.cancel()
    await asyncio.wait([pull])
    ended = time.monotonic() - began
    await asyncio.sleep(1)
    fetched = gate.traffic.blobs

    assert pull.cancelled()
    assert ended < 1
    await asyncio.sleep(0.5)
    assert gate.traffic.blobs == fetched


async def test_a_registry_that_dies_and_comes_back_is_survived(library, publish, gate):
    name = publish("25.05-py3")
    gate.behaviour.rate = SLOW
    reports = Reports()
    sheet = await library.sheet(name)
    gate.traffic = Traffic()
    pull = asyncio.create_task(library.fetch(name, reports, sheet=sheet))
    await reports.until(lambda r: r.current > r.total / 4)

    await asyncio.to_thread(gate.kill)
    await reports.until(lambda r: "again" in r.message)
    await asyncio.to_thread(gate.start)
    await pull

    assert reports[-1].current == reports[-1].total
    # Something that was under way may come twice, not what was complete.
    assert gate.traffic.blobs < sheet.download * 1.3


async def test_who_asks_at_the_same_time_shares_one_pull(library, publish, gate):
    name = publish("25.06-py3")
    gate.behaviour.rate = SLOW
    first, second = Reports(), Reports()
    sheet = await library.sheet(name)
    gate.traffic = Traffic()
    pulls = [asyncio.create_task(library.fetch(name, first, sheet=sheet))]
    await first.until(lambda r: r.current > 0)
    pulls.append(asyncio.create_task(library.fetch(name, second)))
    await second.until(lambda r: r.current > 0)

    pulls[0].cancel()
    await asyncio.wait(pulls)

    assert pulls[0].cancelled()
    assert pulls[1].result().tags == (name,)
    assert second.counted[0].total == first.counted[0].total > sum(SIZES)
    assert gate.traffic.blobs == pytest.approx(sheet.download, rel=0.01)


async def test_the_engine_merges_the_pulls_of_two_processes(open_library, publish, gate):
    name = publish("25.07-py3")
    gate.behaviour.rate = SLOW
    ours, theirs = open_library(), open_library()
    sheet = await ours.sheet(name)
    gate.traffic = Traffic()

    await asyncio.gather(ours.fetch(name, Reports()), theirs.fetch(name, Reports()))

    layers = sum(layer.size for layer in sheet.missing)
    assert gate.traffic.blobs - layers < 0.01 * layers


async def test_a_token_that_is_refused_twice_is_no_failure(library, publish, gate):
    name = publish("25.08-py3", sizes=(1000,))
    gate.behaviour.moods = 2

    assert (await library.fetch(name, Reports())).tags == (name,)


async def test_a_private_image_wants_a_login_and_takes_the_users(
    library, gate, images, jp_home_dir, publish
):
    inner = f"{gate.upstream.address}/private/one:1"
    name = f"{gate.address}/private/one:1"
    image = images.client.images.get(images.ensure("tiny"))
    image.tag(inner)
    try:
        for line in images.client.images.push(inner, stream=True, decode=True):
            assert "error" not in line, line
    finally:
        images.client.images.remove(inner)
    with pytest.raises(RegistryRefusedError) as caught:
        await library.fetch(name, Reports())

    save_login(jp_home_dir, gate.address, *gate.behaviour.login)
    try:
        fetched = await library.fetch(name, Reports())
    finally:
        images.client.images.remove(name)

    assert "docker login" in caught.value.hint
    assert name in fetched.tags


async def test_a_login_that_is_out_of_date_does_not_close_what_is_public(
    library, gate, publish, jp_home_dir
):
    name = publish("25.09-py3", sizes=(1000,))
    save_login(jp_home_dir, gate.address, "$oauthtoken", "nvapi-expired")

    assert (await library.fetch(name, Reports())).tags == (name,)


async def test_the_sheet_warns_and_names_the_newest_tag_that_works(open_library, publish, gate):
    """A driver of 2023 and a GeForce: the newest image that it can run is of 2023 too."""
    for tag, driver in (("23.06", "530.30"), ("23.10", "535.104"), ("24.05", "550.54")):
        publish(f"{tag}-py3", sizes=(), env={"CUDA_DRIVER_VERSION": driver})
    newest = publish("30.10-py3", sizes=())
    library = open_library(OLD)

    sheet = await library.sheet(newest)

    assert [r.code for r in sheet.remarks] == ["driver"]
    assert sheet.suggestion == f"{gate.address}/{REPOSITORY}:23.10-py3"
    assert sheet.suggestion in sheet.warnings[-1]
    assert "NVIDIA" in sheet.licence
    assert await library.resolve("pytorch") == sheet.suggestion
    assert await open_library(H100).resolve("pytorch") == newest


async def test_an_image_for_another_processor_is_refused_before_it_is_fetched(
    library, publish, gate
):
    sheet = await library.sheet(publish("25.11-py3", sizes=(), architecture="s390x"))

    assert [r.code for r in sheet.refused] == ["architecture"]
    assert gate.traffic.blobs < 100_000


async def test_what_is_nowhere_is_not_found(library, gate):
    with pytest.raises(ImageNotFoundError):
        await library.sheet(f"{gate.address}/{REPOSITORY}:99.99-py3")


async def test_without_network_what_the_engine_has_is_offered(
    docker_engine_url, images, tmp_path, open_library
):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{unused.getsockname()[1]}"
        name = f"{away}/{REPOSITORY}:25.01-py3"
        images.client.images.get(images.ensure("ngc")).tag(name)
        library = open_library()
        library.catalogue = Catalogue.load(registry=away)
        try:
            began = time.monotonic()
            sheet, resolved, tags, listing = await asyncio.gather(
                library.sheet(name),
                library.resolve("pytorch"),
                library.tags("pytorch"),
                library.listing(live=True),
            )
            took = time.monotonic() - began
        finally:
            images.client.images.remove(name)
        with pytest.raises(RegistryUnreachableError):
            await library.resolve("jax")

    assert took < 5
    assert (sheet.here, sheet.download) == (True, 0)
    assert sheet.needs.architectures
    assert "cannot be reached" in sheet.problem
    assert resolved == name
    assert (tags.tags, tags.ready) == (("25.01-py3",), ("25.01-py3",))
    offer = next(o for o in listing.offers if o.entry.name == "pytorch")
    assert (offer.ready, offer.tags) == (("25.01-py3",), None)
    assert "cannot be reached" in offer.problem


async def test_live_tags_say_which_are_ready(library, publish, gate):
    publish("30.12-py3", sizes=())
    publish("30.12-py3-igpu", sizes=())

    tags = await library.tags("pytorch")

    assert tags.tags[0] == "30.12-py3"
    assert "30.12-py3-igpu" not in tags.tags
    assert set(tags.ready) <= set(tags.tags)
