"""An environment exported and saved over REST, on a real engine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid

import docker
import pytest

from .client import until


@pytest.fixture
def on_docker(request):
    return request.node.get_closest_marker("docker") is not None


@pytest.fixture
def engine(on_docker, request):
    return request.getfixturevalue("docker_engine_url") if on_docker else "process"


@pytest.fixture
def image(on_docker, request):
    return request.getfixturevalue("images").ensure("kernel") if on_docker else "python"


@pytest.fixture
def tag(images):
    name = f"dlenv-test/saved-{uuid.uuid4().hex[:8]}:1"
    yield name
    with contextlib.suppress(docker.errors.ImageNotFound):
        images.client.images.remove(name, force=True)


@pytest.mark.docker
async def test_an_environment_is_exported_and_saved(api, launched, tag, jp_base_url):
    await launched("a", env={"HF_TOKEN": "s3cret"})

    export = await api.get("/environments/a/export", params={"to": "compose"})
    answer = await api.post("/environments/a/save", {"image": tag})
    save = await api.saved(answer.json)

    assert (export.code, export.json["file"]) == (200, "compose.yaml")
    assert "s3cret" not in str(export.json)
    assert answer.code == 202
    assert answer.headers["Location"] == f"{jp_base_url}dlenv/api/saves/{save['id']}"
    assert (save["phase"], save["error"], save["saved"]["image"]) == ("ready", None, tag)
    assert (await api.get("/saves")).json["saves"] == [save]

    again = await api.saved((await api.post("/environments/a/save", {"image": tag})).json)
    assert (again["phase"], again["error"]["code"]) == ("failed", "image-exists")
    anyhow = await api.post("/environments/a/save", {"image": tag, "replace": True})
    assert (await api.saved(anyhow.json))["phase"] == "ready"


@pytest.mark.docker
async def test_a_push_that_hangs_keeps_the_server_busy_until_it_is_cancelled(
    api, launched, dlenv, images
):
    await launched("a")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tag = f"127.0.0.1:{silent.getsockname()[1]}/a/b:1"
        accepted = await api.post("/environments/a/save", {"image": tag, "push": True})
        save = accepted.json
        await until(lambda: dlenv.saves.get(save["id"]).progress.phase.value == "pushing")
        busy = dlenv.current_activity()
        twice = await api.post("/environments/a/save", {"image": tag})

        cancelled = await api.delete(f"/saves/{save['id']}")
        last = await api.saved(save)

    assert [job["id"] for job in busy] == [save["id"]]
    assert (twice.code, twice.error["code"]) == (409, "image-exists")
    assert cancelled.code == 202
    assert (last["phase"], last["error"]["code"]) == ("cancelled", "save-cancelled")
    assert dlenv.current_activity() is None
    await asyncio.to_thread(images.client.images.remove, tag)


async def test_a_plain_process_is_neither_exported_nor_saved(api, launched):
    await launched("a")

    export = await api.get("/environments/a/export", params={"to": "compose"})
    save = await api.saved((await api.post("/environments/a/save", {"image": "a:1"})).json)

    assert (export.code, export.error["code"]) == (501, "capability-missing")
    assert (save["phase"], save["error"]["code"]) == ("failed", "capability-missing")


@pytest.mark.parametrize(
    "body", [{}, {"image": ""}, {"image": 3}, {"image": "x" * 501}, {"image": "a", "push": "yes"}]
)
async def test_a_request_that_is_none_is_refused(api, body):
    answer = await api.post("/environments/a/save", body)

    assert (answer.code, answer.error["code"]) == (400, "invalid-spec")


async def test_a_saving_that_is_not_there_is_not_found(api):
    assert (await api.get("/saves/x")).code == 404
