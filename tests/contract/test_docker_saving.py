"""Images made of containers, and given to registries, on a real Docker engine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import tarfile
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from jupyter_dlenv.errors import (
    ContainerNotFoundError,
    ImageNotFoundError,
    RegistryRefusedError,
    RegistryUnreachableError,
)

from .waiting import until


@pytest.fixture
def engine_kind(docker_engine_url, images):
    return "docker"


@pytest.fixture
def tag(images):
    """Return a name for an image; what has it at the end is removed."""
    name = f"dlenv-test/saved-{uuid.uuid4().hex[:8]}:1"
    yield name
    with contextlib.suppress(docker.errors.ImageNotFound):
        images.client.images.remove(name, force=True)


@pytest.fixture
def login(isolated_home):
    """Return a function that logs in to a registry, as ``docker login`` does."""

    def log_in(address, user, password):
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        path = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
        path.write_text(json.dumps({"auths": {address: {"auth": pair}}}))

    return log_in


async def test_an_image_has_the_containers_files_and_starts_as_it_is_told(
    engine, running, tag, images
):
    like = await engine.inspect_image(images.ensure("ngc"))
    container_id = await running(
        "echo installed > /new; exec sleep 1000",
        image=like.id,
        user="0:0",
        entrypoint=(),
        env={"HF_TOKEN": "s3cret", "PIP_CONSTRAINT": "changed", "PYTHONPATH": "/x"},
    )
    await until_there(engine, container_id, "/new")

    made = await engine.commit(container_id, tag=tag, like=like, labels={"origin": "a test"})

    assert made.tags == (tag,)
    assert (made.entrypoint, made.command, made.workdir) == (
        like.entrypoint,
        like.command,
        like.workdir,
    )
    assert {key: made.env[key] for key in like.env} == like.env
    assert {key: value for key, value in made.labels.items() if value} == {"origin": "a test"}
    output = await asyncio.to_thread(
        images.client.containers.run, tag, ["sh", "-c", "cat /new; env"], remove=True
    )
    assert b"installed\n" in output
    assert b"HF_TOKEN" not in output
    assert b"PYTHONPATH" not in output
    assert b"NVIDIA_VISIBLE_DEVICES=all" in output


async def test_an_image_without_any_command_does_not_get_the_containers(
    engine, running, tag, images
):
    container_id = await running()
    like = await engine.inspect_image(images.ensure("tiny"))

    made = await engine.commit(
        container_id, tag=tag, like=replace(like, command=(), entrypoint=()), labels={}
    )

    assert made.command == ("/bin/sh",)


async def test_nothing_that_the_container_was_told_is_in_the_image(engine, plan, tag, images):
    """What ``docker inspect`` hides, and whoever pulls the image can read, is looked at too."""
    like = await engine.inspect_image(images.ensure("tiny"))
    labels = {**plan().labels, "team": "s3cret"}
    told = plan(image=like.id, env={"HF_TOKEN": "s3cret"}, labels=labels)
    container_id = await engine.create(told)

    await engine.commit(container_id, tag=tag, like=like, labels={})

    settings = await asyncio.to_thread(raw_settings, images.client, tag)
    assert "HF_TOKEN" in settings["config"]["Env"]
    assert "s3cret" not in str(settings)


def raw_settings(client, tag):
    """Return the settings of an image as a registry would get them."""
    with tempfile.TemporaryFile() as file:
        file.writelines(client.images.get(tag).save(named=tag))
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            (manifest,) = json.load(archive.extractfile("manifest.json"))
            return json.load(archive.extractfile(manifest["Config"]))


async def test_a_commit_that_is_cancelled_leaves_no_image(engine, running, tag, images):
    # Enough that the engine is still at it when it is seen to have begun.
    container_id = await running("head -c 150M /dev/zero > /big; touch /new; exec sleep 1000")
    await until_there(engine, container_id, "/new")
    mark = uuid.uuid4().hex
    like = await engine.inspect_image(images.ensure("bare"))

    def paused():
        return images.client.api.inspect_container(container_id)["State"]["Paused"]

    committing = asyncio.ensure_future(
        engine.commit(container_id, tag=tag, like=like, labels={"mark": mark})
    )
    await until(lambda: asyncio.to_thread(paused))
    committing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await committing

    found = await asyncio.to_thread(
        images.client.images.list, all=True, filters={"label": f"mark={mark}"}
    )
    assert committing.cancelled()
    assert found == []
    assert not await asyncio.to_thread(paused)


async def test_of_a_container_that_is_gone_no_image_is_made(engine, tag, images):
    like = await engine.inspect_image(images.ensure("bare"))

    with pytest.raises(ContainerNotFoundError):
        await engine.commit("no-such-container", tag=tag, like=like, labels={})


async def test_a_registry_takes_an_image_and_says_its_digest(engine, registry, images, tagged):
    reference = await tagged(f"{registry.address}/team/pushed:1")
    reports = []

    digest = await engine.push(reference, reports.append)

    facts = await engine.inspect_image(reference)
    assert f"{reference.removesuffix(':1')}@{digest}" in facts.digests
    assert reports[-1].message == "1 of 1 layers are there"
    assert reports[-1].current == reports[-1].total


async def test_a_registry_that_wants_a_login_gets_the_users(
    engine, private_registry, tagged, login
):
    reference = await tagged(f"{private_registry.address}/team/pushed:1")
    with pytest.raises(RegistryRefusedError) as caught:
        await engine.push(reference, lambda _: None)
    assert "docker login" in caught.value.hint
    login(private_registry.address, private_registry.login.user, "wrong")
    with pytest.raises(RegistryRefusedError):
        await engine.push(reference, lambda _: None)

    login(private_registry.address, private_registry.login.user, private_registry.login.password)

    assert (await engine.push(reference, lambda _: None)).startswith("sha256:")


async def test_a_registry_that_is_away_takes_nothing(engine, tagged):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        reference = await tagged(f"127.0.0.1:{unused.getsockname()[1]}/a/b:1")

        with pytest.raises(RegistryUnreachableError):
            await engine.push(reference, lambda _: None)


async def test_an_image_that_is_not_there_cannot_be_pushed(engine, registry):
    with pytest.raises(ImageNotFoundError):
        await engine.push(f"{registry.address}/no/such:1", lambda _: None)


async def test_a_push_that_hangs_is_cancelled_at_once(engine, tagged):
    heard = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def stay_silent(_reader, writer):
        if not heard.done():
            heard.set_result(writer)
        await ended.wait()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pushing = asyncio.ensure_future(
        engine.push(await tagged(f"127.0.0.1:{port}/a/b:1"), lambda _: None)
    )
    writer = await asyncio.wait_for(heard, 30)

    pushing.cancel()
    await asyncio.wait([pushing], timeout=1)

    assert pushing.cancelled()
    server.close()
    ended.set()
    writer.close()


@pytest.fixture
def tagged(images):
    """Return a function that gives a small image a name more, which goes at the end."""
    names = []

    async def give(reference):
        names.append(reference)
        image = images.client.images.get(images.ensure("tiny"))
        await asyncio.to_thread(image.tag, reference)
        return reference

    yield give
    for name in names:
        images.client.images.remove(name)


async def until_there(engine, container_id, path):
    script = f"until [ -e {path} ]; do sleep 0.02; done"
    stream = await engine.open_stream(container_id, ("sh", "-c", script))
    assert await asyncio.wait_for(stream.wait(), 30) == 0
    await stream.aclose()
