"""A server works with one engine at a time, and another one can be chosen while it runs."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager

import pytest

from jupyter_dlenv.configuration import Configuration
from jupyter_dlenv.errors import EngineTimeoutError
from jupyter_dlenv.server.engines import Engines
from jupyter_dlenv.server.events import ENGINE

from .client import until

GONE = "tcp://someone:hunter2@127.0.0.1:1"


@pytest.fixture
def transport():
    return "auto"


@pytest.fixture
def configuration(configuration, transport):
    here = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    engines = {"gone": GONE, "forbidden": "ssh://nowhere", "here": here}
    return {
        **configuration,
        "engines": engines,
        "transport": transport,
        "allowed_engines": ["process", "docker", "gone", "here", "tcp:*"],
    }


@pytest.fixture
def use(api):
    async def use(name):
        return await api.ask("PUT", "/engine", body=json.dumps({"name": name}))

    return use


async def names(api) -> list[str]:
    answer = await api.get("/environments")
    return [environment["name"] for environment in answer.json["environments"]]


async def test_engines_are_listed_with_what_the_policy_says_and_without_passwords(api):
    answer = await api.get("/engines")

    assert ("process", "process") == (answer.json["in_use"], answer.json["default"])
    assert [
        {"name": "process", "kind": "process", "address": "", "allowed": True},
        {"name": "docker", "kind": "docker", "address": "", "allowed": True},
        {
            "name": "gone",
            "kind": "docker",
            "address": "tcp://someone@127.0.0.1:1",
            "allowed": True,
        },
        {"name": "forbidden", "kind": "docker", "address": "ssh://nowhere", "allowed": False},
    ] == answer.json["engines"][:-1]


class TestWithDockerOnAnotherMachine:
    @pytest.fixture
    def configuration(self, configuration, monkeypatch):
        monkeypatch.setenv("DOCKER_HOST", "tcp://someone:hunter2@gpu-box.example:2376")
        return configuration

    async def test_docker_has_an_address(self, api):
        answer = await api.get("/engines")

        [docker] = [offer for offer in answer.json["engines"] if offer["name"] == "docker"]
        assert "tcp://someone@gpu-box.example:2376" == docker["address"]


@pytest.mark.parametrize(
    ("engine", "name"), [(GONE, "gone"), ("tcp://a:b@127.0.0.1:2", "tcp://a@127.0.0.1:2")]
)
async def test_a_configured_address_has_a_name_too_without_its_password(api, use, engine, name):
    answer = await api.get("/engines")

    assert (name, name) == (answer.json["in_use"], answer.json["default"])
    assert 200 == (await use(name)).code
    # The one that is left need not answer.
    assert 200 == (await use("process")).code
    assert [] == await names(api)


async def test_what_cannot_be_used_is_refused_and_the_engine_stays(api, use):
    refused = [await use(name) for name in ("nobody", "ssh://nowhere", "forbidden", "gone", 7)]

    assert [
        (404, "engine-not-offered"),
        (404, "engine-not-offered"),
        (403, "not-allowed"),
        (503, "engine-unreachable"),
        (400, "invalid-spec"),
    ] == [(answer.code, answer.error["code"]) for answer in refused]
    assert b"hunter2" not in b"".join(answer.body for answer in refused)
    assert "process" == (await api.get("/engines")).json["in_use"]
    assert [] == await names(api)


async def test_the_engine_stays_while_a_launch_is_under_way(api, dlenv, use):
    job = (await api.post("/environments", {"name": "slow", "image": "python"})).json

    refused = await use("gone")

    assert (409, "engine-busy") == (refused.code, refused.error["code"])
    assert "the launch of 'slow'" in refused.error["message"]
    await api.ended(job["id"])
    assert "engine-unreachable" == (await use("gone")).error["code"]


async def test_another_engine_is_used_and_what_runs_on_the_first_one_runs_on(
    docker_engine_url, images, api, started, use, launched, start_kernel, event_log
):
    """Its kernels, too: a rule that allows the name of an engine says nothing of its address."""
    await launched("mine")
    kernel = await start_kernel("dlenv-mine")

    answer = await use("here")

    assert (200, "here") == (answer.code, answer.json["in_use"])
    assert [] == await names(api)
    engine = (await api.get("/engine")).json
    assert ("here", "docker") == (engine["name"], engine["kind"])
    event = (await until(lambda: event_log.of(ENGINE)))[0]
    assert ("here", started.environments().owner) == (event["name"], event["owner"])
    assert "42" == await kernel.execute("6 * 7")

    # Both at once: one after the other, and the last one counts.
    await launched("other", image=images.ensure("kernel"))
    contained = await start_kernel("dlenv-other")
    sheet = (await api.get("/environments/other/connect")).json
    assert "jupyter dlenv shell --engine here other" in [c["command"] for c in sheet["commands"]]
    await asyncio.gather(started.engines.use("docker"), started.engines.use("process"))
    assert "process" == (await api.get("/engines")).json["in_use"]
    assert ["mine"] == await names(api)
    assert "'other'" == await contained.execute("import os; os.uname().nodename")


@pytest.mark.parametrize(("engine", "transport"), [("here", "stream")])
async def test_a_forward_goes_through_the_engine_that_was_left_where_that_shares_no_sockets(
    docker_engine_url, images, api, started, use, launched, start_kernel
):
    await launched("mine", image=images.ensure("kernel"))
    kernel = await start_kernel("dlenv-mine")
    await kernel.execute(
        "import socket, threading\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "threading.Thread(target=lambda: s.accept()[0].sendall(b'inside'), daemon=True).start()"
    )
    port = int(await kernel.execute("s.getsockname()[1]"))
    forward = (await api.post("/environments/mine/forwards", {"port": port})).json
    await until(lambda: "here" in started.engines.seen)

    await use("process")

    # Its watcher looks, too, which ends the forwards of environments that are gone.
    await until(lambda: "process" in started.engines.seen)
    reader, writer = await asyncio.open_connection("127.0.0.1", forward["local_port"])
    assert b"inside" == await asyncio.wait_for(reader.read(6), 10)
    writer.close()


@asynccontextmanager
async def silent_engine():
    """Accept connections, and never say anything."""
    asked = asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def hold(_reader, writer):
        writers.append(writer)
        asked.set()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def test_an_engine_that_hangs_is_given_up_and_a_cancelled_change_changes_nothing(tmp_path):
    async with silent_engine() as (url, asked):
        configuration = Configuration(
            engine="process",
            engines={"silent": url},
            owner="x",
            data_dir=str(tmp_path / "d"),
            runtime_dir=str(tmp_path / "r"),
        )
        changes = []
        engines = Engines(
            configuration, busy=str, changed=lambda: changes.append(engines.in_use), patience=0.3
        )

        with pytest.raises(EngineTimeoutError):
            await engines.use("silent")
        asked.clear()
        using = asyncio.create_task(engines.use("silent"))
        await asked.wait()
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using

        assert ("process", [], ()) == (engines.in_use, changes, engines.opened)
    await engines.aclose()
