"""Byte streams into environments, and the forwards made of them, on real engines."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from pathlib import Path

import pytest

from jupyter_dlenv.access.forwards import Forwards
from jupyter_dlenv.access.relay import Place, Port, Program, UnixSocket
from jupyter_dlenv.errors import (
    AgentError,
    AgentUnreachableError,
    ForwardNotFoundError,
    LocalPortTakenError,
    NotAllowedError,
    TargetRefusedError,
)
from jupyter_dlenv.kernels.link import AgentLink

#: Sends back whatever it gets, then the number of bytes when the client has ended its half.
ECHO = """
import os, socket, sys, threading
family, address = (socket.AF_UNIX, sys.argv[1]) if sys.argv[1].startswith("/") else (
    socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, (sys.argv[1], int(sys.argv[2])))
listener = socket.socket(family)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(address)
listener.listen(128)
print(listener.getsockname()[1] if family != socket.AF_UNIX else 0, flush=True)
def serve(client):
    count = 0
    while data := client.recv(65536):
        client.sendall(data)
        count += len(data)
    client.sendall(b"|%d" % count)
    client.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def serve(environments, jp_asyncio_loop):
    """Return a function that starts an echo service inside, and gives its port."""
    streams = []

    async def start(name: str, address: str, port: int = 0) -> int:
        argv = ("python3", "-c", ECHO, address, str(port))
        stream = await environments.open_stream(name, argv)
        streams.append(stream)
        kind, said = await asyncio.wait_for(stream.read(), 30)
        assert kind == 1, said
        return int(said)

    yield start

    async def close():
        for stream in streams:
            if hasattr(stream, "kill"):
                # Not in a container that would end it.
                await stream.kill()
            await stream.aclose()

    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def open_forwards(environments, jp_asyncio_loop):
    """Return a function that stands for a new server: it knows only what was recorded."""
    opened = []

    def open_one(**changes):
        arguments = {"records": environments.forward_records, "allowed": (1024, 65535), **changes}
        opened.append(Forwards(environments.relay.connect, **arguments))
        return opened[-1]

    yield open_one

    async def close():
        for forwards in opened:
            await forwards.aclose()

    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def forwards(open_forwards):
    return open_forwards()


@pytest.fixture
def place(environments, spec, jp_asyncio_loop):
    return Place.of(jp_asyncio_loop.run_until_complete(environments.launch(spec)))


async def talk(connected: socket.socket, data: bytes) -> bytes:
    """Send, end our half, and return all that comes back."""
    reader, writer = await asyncio.open_connection(sock=connected)
    return await _talk(reader, writer, data)


async def call(port: int, data: bytes) -> bytes:
    """Talk as ``talk`` does through a local port."""
    return await _talk(*await asyncio.open_connection("127.0.0.1", port), data)


async def _talk(reader, writer, data: bytes) -> bytes:
    async def send():
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.ensure_future(send())
    try:
        received = await asyncio.wait_for(reader.read(-1), 30)
        await sending
        return received
    finally:
        sending.cancel()
        writer.close()


def answer(data: bytes) -> bytes:
    return data + b"|%d" % len(data)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "127.0.0.5"])
async def test_a_port_is_reached_wherever_inside_it_listens(environments, place, serve, address):
    port = await serve("a", address)

    connected = await environments.relay.connect(place, Port(port))

    assert answer(b"hello") == await talk(connected, b"hello")


async def test_a_unix_socket_inside_is_reached(environments, place, serve, tmp_path):
    path = str(tmp_path / "echo") if environments.engine.name == "process" else "/tmp/echo"
    await serve("a", path)

    connected = await environments.relay.connect(place, UnixSocket(path))

    assert answer(b"hello") == await talk(connected, b"hello")


async def test_what_is_not_there_is_refused_in_words(environments, place):
    with pytest.raises(TargetRefusedError, match="Nothing answers on port 1"):
        await environments.relay.connect(place, Port(1))
    with pytest.raises(TargetRefusedError, match="Nothing answers at /nowhere"):
        await environments.relay.connect(place, UnixSocket("/nowhere"))
    with pytest.raises(AgentError, match="no program of that name"):
        await environments.relay.connect(place, Program("rm"))


async def test_a_stopped_environment_is_refused_in_words(environments, place):
    await environments.stop("a")

    with pytest.raises(AgentUnreachableError):
        await environments.relay.connect(place, Port(1))


async def test_the_engine_itself_carries_streams_where_no_socket_is_shared(
    docker_environments, environments, place, serve
):
    port = await serve("a", "127.0.0.1")
    data = bytes(range(256)) * 4000

    connected = await environments.relay.connect_through_engine(place, Port(port))

    assert answer(data) == await talk(connected, data)
    with pytest.raises(TargetRefusedError, match="Nothing answers on port 1"):
        await environments.relay.connect_through_engine(place, Port(1))


async def test_who_listens_inside_is_found_with_name_and_address(
    docker_environments, environments, place, serve
):
    inside = await serve("a", "127.0.0.1", 6006)
    await serve("a", "0.0.0.0", 8080)
    environment = await environments.get("a")
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)

    found = {x["port"]: x for x in await link.listeners(own=False)}
    await link.aclose()

    assert inside == 6006
    assert {6006, 8080} == set(found)
    assert ("127.0.0.1", "python3") == (found[6006]["address"], found[6006]["name"])
    assert "0.0.0.0" == found[8080]["address"]
    assert found[6006]["command"][:2] == ["python3", "-c"]


async def test_a_forward_takes_the_number_that_the_port_has_inside_or_the_next_free_one(
    place, forwards, serve
):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        wanted = taken.getsockname()[1]
        forward = await forwards.add(place, wanted, engine_id="e")

    assert wanted < forward.local_port < wanted + 200
    assert (forward,) == forwards.list(place)


async def test_a_local_port_that_is_taken_is_refused_with_who_has_it(place, forwards):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalPortTakenError, match=r"is used by \S+ \(process \d+\)"):
            await forwards.add(place, 80, local=port, engine_id="e")
    mine = await forwards.add(place, 80, engine_id="e")
    with pytest.raises(LocalPortTakenError, match="leads to port 80 of the environment 'a'"):
        await forwards.add(place, 81, local=mine.local_port, engine_id="e")


async def test_an_administrator_decides_which_local_ports_are_used(place, open_forwards):
    forwards = open_forwards(allowed=(40000, 40100))

    with pytest.raises(NotAllowedError, match="allowed_host_ports"):
        await forwards.add(place, 80, local=8080, engine_id="e")
    chosen = await forwards.add(place, 80, engine_id="e")

    assert 40000 <= chosen.local_port <= 40100


async def test_a_forward_leads_on_after_the_environment_was_restarted(
    environments, place, forwards, serve
):
    port = await serve("a", "127.0.0.1")
    forward = await forwards.add(place, port, engine_id="e")
    assert answer(b"1") == await call(forward.local_port, b"1")

    await environments.stop("a")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await call(forward.local_port, b"2")
    await environments.start("a")
    await serve("a", "127.0.0.1", port)

    assert answer(b"3") == await call(forward.local_port, b"3")


async def test_thirty_forwards_come_and_go_while_traffic_runs(
    environments, place, forwards, open_forwards, serve
):
    port = await serve("a", "127.0.0.1")
    busy = await forwards.add(place, port, engine_id="e")
    chunk = bytes(range(256)) * 1024
    stop = asyncio.Event()

    async def traffic() -> tuple[int, str, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", busy.local_port)
        sent, received, counts = hashlib.sha256(), hashlib.sha256(), [0, 0]

        async def send():
            while not stop.is_set():
                writer.write(chunk)
                await writer.drain()
                sent.update(chunk)
                counts[0] += len(chunk)
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        tail = b""
        while data := await reader.read(1 << 16):
            data = tail + data
            # The last bytes may be the count that the service adds.
            tail = data[-20:]
            received.update(data[:-20])
            counts[1] += len(data[:-20])
        await sending
        body, _, count = tail.rpartition(b"|")
        received.update(body)
        assert int(count) == counts[0] == counts[1] + len(body)
        writer.close()
        return counts[0], sent.hexdigest(), received.hexdigest()

    streams = [asyncio.ensure_future(traffic()) for _ in range(2)]
    added = []
    for _ in range(30):
        forward = await forwards.add(place, port, local=await free_port(), engine_id="e")
        assert answer(b"ping") == await call(forward.local_port, b"ping")
        added.append(forward)
    assert 31 == len(forwards.list())

    # Another server takes over all of them from what was recorded.
    for forward in added[:15]:
        await forwards.remove(place, forward.local_port)
    left = forwards.list()
    stop.set()
    results = await asyncio.gather(*streams)
    await forwards.aclose()
    heir = open_forwards()
    await heir.restore()
    assert left == heir.list()
    assert answer(b"x") == await call(added[-1].local_port, b"x")
    for forward in left:
        await heir.remove(place, forward.local_port)

    for count, sent, received in results:
        assert count > 0
        assert sent == received
    assert () == heir.list()
    assert [] == environments.forward_records.read_all()
    for forward in [busy, *added]:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", forward.local_port)


async def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


async def test_removing_a_forward_cuts_its_connections_off(place, forwards, serve):
    port = await serve("a", "127.0.0.1")
    forward = await forwards.add(place, port, engine_id="e")
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
    writer.write(b"x")
    assert b"x" == await reader.readexactly(1)

    await forwards.remove(place, forward.local_port)

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with pytest.raises(ForwardNotFoundError):
        await forwards.remove(place, forward.local_port)


async def test_a_restored_forward_whose_port_was_taken_says_so_and_comes_back(
    place, forwards, open_forwards
):
    forward = await forwards.add(place, 80, engine_id="e")
    await forwards.aclose()
    heir = open_forwards()

    with contextlib.closing(socket.create_server(("127.0.0.1", forward.local_port))):
        await heir.restore()
        (restored,) = heir.list()
        assert "is used by" in restored.problem
    await heir.try_again()

    assert (forward,) == heir.list()


async def test_forwards_end_with_their_environment(environments, place, forwards):
    await forwards.add(place, 80, engine_id=(await environments.engine.probe()).id)
    recorded = environments.forward_records.read_all()

    await environments.remove("a")
    left = environments.forward_records.read_all()
    engine_id = (await environments.engine.probe()).id
    await forwards.keep_only((), owner=environments.owner, engine_id=engine_id)

    assert ([1], []) == ([len(r.ports) for r in recorded], left)
    assert () == forwards.list()


async def test_what_is_recorded_can_be_read_by_its_owner_alone(environments, place, forwards):
    await forwards.add(place, 80, engine_id="e")

    (path,) = environments.forward_records._directory.iterdir()
    assert (0o600, 0o700) == (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)


async def test_forwards_follow_an_environment_that_is_recreated(
    environments, place, forwards, serve
):
    engine_id = (await environments.engine.probe()).id
    port = await free_port()
    forward = await forwards.add(place, port, local=await free_port(), engine_id=engine_id)

    await environments.recreate("a")
    now = Place.of(await environments.get("a"))
    await serve("a", "127.0.0.1", port)
    await environments.list()
    await forwards.keep_only([now], owner=environments.owner, engine_id=engine_id)

    assert now.environment_id != place.environment_id
    assert (forward,) == forwards.list(now)
    assert answer(b"x") == await call(forward.local_port, b"x")
    assert [now] == [record.place for record in environments.forward_records.read_all()]
