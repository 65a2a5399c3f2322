"""Asking a real registry behind a gate with tokens: tags, manifests, logins, bad moods."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket

import pytest
from rig import registry as registries
from rig import registry_token

from jupyter_dlenv.docker_credentials import Credentials
from jupyter_dlenv.errors import (
    ImageError,
    ImageNotFoundError,
    RegistryRefusedError,
    RegistryUnreachableError,
)
from jupyter_dlenv.images.reference import ImageReference
from jupyter_dlenv.images.registry import Registry


@pytest.fixture(scope="module")
def opened(images):
    """Run a registry with a gate, with two images in it."""
    with registry_token.serve(registries.get()) as gate:
        for repository in ("team/ngc:25.10-py3", "team/ngc:25.02-py3", "private/ngc:1"):
            gate.push(images.client, images.ensure("ngc"), repository)
        yield gate


@pytest.fixture
def gate(opened):
    opened.behaviour = registry_token.Behaviour()
    opened.traffic = registry_token.Traffic()
    return opened


@pytest.fixture
def registry(gate, jp_asyncio_loop):
    """Return a function that opens the registry for a user with or without a login."""
    opened = []

    def open_one(user="", password=""):
        async def find(_registry):
            return Credentials(user=user, password=password) if user else None

        opened.append(Registry(gate.address, credentials=find))
        return opened[-1]

    async def close():
        for each in opened:
            await each.aclose()

    yield open_one
    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def reference(gate):
    return ImageReference.parse(f"{gate.address}/team/ngc:25.10-py3")


async def test_strangers_see_the_tags_and_ask_only_to_pull(registry, gate):
    assert set(await registry().tags("team/ngc")) == {"25.10-py3", "25.02-py3"}
    assert gate.traffic.tokens == ["stranger repository:team/ngc:pull"]


async def test_an_image_is_known_before_it_is_pulled(registry, reference, images):
    image = await registry().image(reference, "x86_64")

    facts = await asyncio.to_thread(images.client.api.inspect_image, images.ensure("ngc"))
    assert image.diff_ids == tuple(facts["RootFS"]["Layers"])
    assert image.manifest.config.digest == facts["Id"]
    assert image.env["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert image.labels["com.nvidia.build.id"] == "1"
    assert image.architecture == "amd64"
    assert len(image.manifest.layers) == len(image.diff_ids)


async def test_one_token_serves_all_questions_about_a_repository(registry, gate, reference):
    opened = registry()

    await opened.image(reference, "x86_64")
    await opened.tags("team/ngc")

    assert len(gate.traffic.tokens) == 1


async def test_a_token_that_was_refused_in_a_bad_mood_is_asked_for_again(registry, gate):
    gate.behaviour.moods = 2

    assert await registry().tags("team/ngc")
    assert len(gate.traffic.tokens) == 3


async def test_a_login_opens_what_is_private(registry, gate):
    assert await registry(*gate.behaviour.login).tags("private/ngc") == ("1",)


async def test_strangers_are_told_to_log_in(registry):
    with pytest.raises(RegistryRefusedError) as caught:
        await registry().tags("private/ngc")

    assert "docker login" in caught.value.hint


async def test_a_bad_login_does_not_close_what_is_public(registry, gate):
    assert await registry("somebody", "wrong").tags("team/ngc")
    assert [asked.split()[0] for asked in gate.traffic.tokens] == ["login", "stranger"]


async def test_a_login_is_not_carried_to_where_blobs_are(registry, gate, reference):
    gate.behaviour.redirect = True

    assert (await registry(*gate.behaviour.login).image(reference, "x86_64")).env


async def test_a_registry_with_a_plain_login_is_understood(private_registry):
    login = private_registry.login

    async def find(_registry):
        return Credentials(user=login.user, password=login.password)

    async with Registry(private_registry.address, credentials=find) as opened:
        assert await opened.tags("team/tiny") == ("1",)


async def test_what_is_not_there_is_not_found(registry, gate):
    for name in ("team/ngc:nothing", "team/nothing:1"):
        with pytest.raises(ImageNotFoundError):
            await registry().image(ImageReference.parse(f"{gate.address}/{name}"), "x86_64")


async def test_a_registry_that_is_away_is_unreachable():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with Registry(f"127.0.0.1:{unused.getsockname()[1]}") as opened:
            with pytest.raises(RegistryUnreachableError):
                await opened.tags("a/b")


@pytest.fixture
def stranger(jp_asyncio_loop):
    """Return a function that serves one answer to everything, and the address of it."""
    servers = []

    async def serve(head, body=b""):
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(f"HTTP/1.1 {head}\r\n{length}".encode() + body)
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        return f"127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()


def challenge(realm):
    return f'401 Unauthorized\r\nWWW-Authenticate: Bearer realm="{realm}",service="x"'


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("200 OK", b"hello"),
        ("200 OK", b"[1]"),
        ("200 OK", b'{"tags": "all"}'),
        ("200 OK", b"[" * 100_000),
        ("307 Moved\r\nLocation: file:///etc/passwd", b""),
        ("307 Moved\r\nLocation: /v2/again", b""),
        ("307 Moved\r\nLocation: http://u:p@127.0.0.1/", b""),
        ("301 Moved\r\nLocation: http://[", b""),
        ("200 OK", b" " * (9 * 1024**2)),
        (challenge("file:///etc/passwd"), b""),
        (challenge(""), b""),
        (challenge("http://u@127.0.0.1/"), b""),
    ],
)
async def test_nonsense_is_an_error_of_ours(stranger, head, body):
    async with Registry(await stranger(head, body)) as opened:
        with pytest.raises(ImageError):
            await opened.tags("a/b")


async def test_tags_that_cannot_be_tags_are_left_out(stranger):
    body = json.dumps({"tags": ["1", "a b", "\x1b[31m", None, "x" * 200, "-x"]}).encode()
    async with Registry(await stranger("200 OK", body)) as opened:
        assert await opened.tags("a/b") == ("1",)


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"layers": 3},
        {"layers": [], "config": {"digest": "sha256:1", "size": 1}},
        {"layers": [{"digest": DIGEST, "size": -1}], "config": {"digest": DIGEST, "size": 1}},
        {"layers": [{"digest": DIGEST, "size": True}], "config": {"digest": DIGEST, "size": 1}},
        {"layers": [{"digest": DIGEST}], "config": {"digest": DIGEST, "size": 1}},
        {"manifests": []},
        {"manifests": [None, {"platform": {"os": "linux", "architecture": 7}}]},
        # A configuration that is not the one that is named.
        {"layers": [], "config": {"digest": DIGEST, "size": 1}},
    ],
)
async def test_a_manifest_that_is_none_is_an_error_of_ours(stranger, manifest):
    address = await stranger("200 OK", json.dumps(manifest).encode())
    async with Registry(address) as opened:
        with pytest.raises(ImageError):
            await opened.image(ImageReference.parse(f"{address}/a/b:1"), "x86_64")


async def test_the_image_of_the_engines_processor_is_chosen(registry, gate, images):
    """An index as for two processors, of which one is there."""
    reference = ImageReference.parse(f"{gate.address}/team/ngc:25.10-py3")
    manifest = await asyncio.to_thread(_put_index, gate.upstream.address)

    image = await registry().image(ImageReference.parse(f"{gate.address}/team/ngc:both"), "x86_64")

    assert image.architectures == ("arm64", "amd64")
    assert image.manifest.parts == (await registry().manifest(reference, "x86_64")).parts
    assert image.manifest.digest == f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _put_index(address):
    import urllib.request

    base = f"http://{address}/v2/team/ngc/manifests"
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    request = urllib.request.Request(f"{base}/25.10-py3", headers=accept)
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
    entry = {
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
        "size": len(body),
    }
    # The registry wants all that it lists; the architecture is only what the index says.
    manifests = [
        {**entry, "platform": {"os": "linux", "architecture": "arm64"}},
        {**entry, "platform": {"os": "linux", "architecture": "amd64"}},
        {**entry, "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    data = {"schemaVersion": 2, "mediaType": kind, "manifests": manifests}
    index = json.dumps(data).encode()
    request = urllib.request.Request(
        f"{base}/both", data=index, method="PUT", headers={"Content-Type": kind}
    )
    urllib.request.urlopen(request, timeout=10).close()
    return index
