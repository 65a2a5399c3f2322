"""Ports and forwards over REST, kept by the server, asked for by the command line too."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from rig import agents

from jupyter_dlenv.access.forwards import Forwards
from jupyter_dlenv.access.keeper import Keeper
from jupyter_dlenv.access.relay import Place
from jupyter_dlenv.kernels.link import AgentLink
from jupyter_dlenv.server.events import ENVIRONMENT

from .client import until

PROGRAM = str(Path(sys.executable).with_name("jupyter-dlenv"))
SERVE = """
import subprocess, sys
site = subprocess.Popen([sys.executable, "-um", "http.server", "-b", "127.0.0.1", "0"],
                        stdout=subprocess.PIPE, text=True)
print(site.stdout.readline())
"""


@pytest.fixture
def served(dlenv, launched):
    """Return a function that launches ``a`` with a web server inside; it gives the port."""

    async def serve() -> int:
        await launched("a")
        directory = Path((await dlenv.environments().get("a")).runtime_dir)
        async with aclosing(await AgentLink.connect(directory, timeout=5)) as link:
            kernel = await link.start_kernel("k", key=agents.KEY, env={}, cwd="")
            async with agents.client_of(directory, kernel) as client:
                # Serving HTTP on 127.0.0.1 port 39641 (…) ...
                return int((await agents.execute(client, SERVE)).split(" port ")[1].split()[0])

    return serve


@pytest.fixture
def configured(configuration, jp_config_dir, jp_environ):
    """Let the command line see what the server sees."""
    path = jp_config_dir / "jupyter_dlenv_config.json"
    path.write_text(json.dumps({"Configuration": configuration}))


async def page(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    received = await asyncio.wait_for(reader.read(-1), 10)
    writer.close()
    return received


async def dlenv_says(*words: str) -> dict:
    ended = await asyncio.create_subprocess_exec(
        PROGRAM, *words, "--json", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(ended.communicate(), 30)
    return json.loads(output)


async def test_a_service_is_found_forwarded_shown_and_left(api, served, jp_base_url, event_log):
    port = await served()
    found = (await api.get("/environments/a/ports")).json["ports"]

    added = await api.post("/environments/a/forwards", {"port": port, "local_port": 0})
    forward = added.json

    assert [(port, True, True, "Web server")] == [
        (p["port"], p["listening"], p["loopback"], p["service"]) for p in found
    ]
    # The service is a process of this machine here, so its own number is taken.
    assert port != forward["local_port"]
    location = f"{jp_base_url}dlenv/api/environments/a/forwards/{forward['local_port']}"
    assert location == added.headers["Location"]
    assert (await page(forward["local_port"])).startswith(b"HTTP/1.0 200")
    assert [forward] == (await api.get("/environments/a/forwards")).json["forwards"]
    (shown,) = (await api.get("/environments/a/ports")).json["ports"]
    assert [forward["local_port"]] == shown["forwarded"]

    removed = await api.delete(f"/environments/a/forwards/{forward['local_port']}")

    assert (204, b"") == (removed.code, removed.body)
    assert [] == (await api.get("/environments/a/forwards")).json["forwards"]
    events = [e["name"] for e in event_log.of(ENVIRONMENT) if e["action"] == "forwards"]
    assert ["a", "a"] == events


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"port": 0}, "invalid-spec"),
        ({"port": "80"}, "invalid-spec"),
        ({"port": 80, "local_port": 99999}, "invalid-spec"),
        ({"port": 80, "host": "example.org"}, "invalid-spec"),
        ({"port": 80, "local_port": 80}, "not-allowed"),
    ],
)
async def test_a_forward_that_cannot_be_is_refused(api, launched, body, code):
    await launched("a")

    answer = await api.post("/environments/a/forwards", body)

    assert code == answer.error["code"]
    assert [] == (await api.get("/environments/a/forwards")).json["forwards"]


async def test_a_taken_port_a_missing_forward_and_a_missing_environment_are_told_apart(
    api, launched
):
    await launched("a")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        body = {"port": 80, "local_port": taken.getsockname()[1]}
        refused = await api.post("/environments/a/forwards", body)
    missing = await api.delete("/environments/a/forwards/12345")
    nowhere = await api.post("/environments/b/forwards", {"port": 80})

    assert (409, "local-port-taken") == (refused.code, refused.error["code"])
    assert "is used by" in refused.error["message"]
    assert (404, "forward-not-found") == (missing.code, missing.error["code"])
    assert (404, "environment-not-found") == (nowhere.code, nowhere.error["code"])


async def test_the_command_line_has_the_server_keep_forwards(configured, started, api, served):
    port = await served()

    forward = (await dlenv_says("forward", "a", str(port)))["forward"]
    shown = (await dlenv_says("ports", "a"))["ports"]

    assert (await page(forward["local_port"])).startswith(b"HTTP/1.0 200")
    assert [forward] == (await api.get("/environments/a/forwards")).json["forwards"]
    assert [forward["local_port"]] == shown[0]["forwarded"]
    removed = await dlenv_says("forward", "a", str(port), "--remove")
    assert {"removed_forwards": [forward]} == removed
    assert [] == (await api.get("/environments/a/forwards")).json["forwards"]
    again = await dlenv_says("forward", "a", str(port), "--remove")
    assert "forward-not-found" == again["error"]["code"]


async def test_without_a_server_the_command_line_forwards_until_it_is_interrupted(
    configured, api, served
):
    port = await served()
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "forward", "a", str(port), stdout=asyncio.subprocess.PIPE
    )
    said = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    local = int(said.split()[0].rpartition(":")[2])
    received = await page(local)

    process.send_signal(2)
    code = await asyncio.wait_for(process.wait(), 10)

    assert received.startswith(b"HTTP/1.0 200")
    assert 130 == code
    with pytest.raises(ConnectionRefusedError):
        await page(local)


async def test_of_two_servers_one_keeps_the_forwards_and_the_other_takes_over(
    started, api, served, jp_asyncio_loop
):
    port = await served()
    first = started.keeper
    await until(lambda: first._door is not None)
    environments = started.configuration.open()
    second, forwards = another_keeper(environments, started)
    place = await place_of(environments)
    waiting = asyncio.ensure_future(second.run())

    added = await second.add(place, port, local=0, engine_id="e")
    assert (added,) == await first.list(place) == await second.list(place)
    assert () == forwards.list()

    await first.aclose()
    await asyncio.wait_for(waiting, 10)

    assert (added,) == forwards.list()
    assert (await page(added.local_port)).startswith(b"HTTP/1.0 200")
    await second.aclose()
    await environments.aclose()


def another_keeper(environments, app):
    forwards = Forwards(
        environments.relay.connect, records=environments.forward_records, allowed=(1024, 65535)
    )
    return Keeper(forwards, Path(app.configuration.runtime_dir)), forwards


async def place_of(environments):
    return Place.of(await environments.get("a"))


async def test_forwards_end_when_their_environment_is_removed_elsewhere(started, api, served):
    port = await served()
    forward = (await api.post("/environments/a/forwards", {"port": port})).json
    environments = started.configuration.open()

    await environments.remove("a")
    await environments.aclose()

    await until(lambda: not started._forwards.list(), what="the end of the forward")
    with pytest.raises(ConnectionRefusedError):
        await page(forward["local_port"])
