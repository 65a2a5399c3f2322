"""An engine behind TCP, with and without TLS, is as good as one behind a socket."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.errors import CapabilityMissingError, EngineUnreachableError

from .test_engine_contract import (  # noqa: F401 - tests, run here through TCP
    test_a_cancelled_read_loses_nothing,
    test_a_stream_has_a_terminal_of_a_size,
    test_a_stream_keeps_output_and_errors_apart,
    test_events_tell_the_life_of_a_container_in_order,
    test_followed_logs_end_with_the_container,
    test_run_returns_how_a_command_ended,
    test_whoever_follows_logs_can_go,
)
from .waiting import read_all


@pytest.fixture
def engine_kind():
    return "docker"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Make an authority, and a certificate of it for 127.0.0.1 that both sides use."""
    directory = tmp_path_factory.mktemp("certificates")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for arguments in (
        ("-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test authority"),
        (
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=127.0.0.1"),
            *("-CA", "ca.pem", "-CAkey", "ca-key.pem"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        ),
    ):
        command = ["openssl", "req", "-x509", *new_key, *arguments]
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=30)
    return directory


@pytest.fixture(params=["tcp", "tls"])
def transport(request):
    return request.param


@pytest.fixture
def engine(
    transport,
    certificates,
    images,
    docker_engine_url,
    monkeypatch,
    jp_asyncio_loop,
    tmp_path,
    test_labels,
):
    images.ensure("bare")
    server_tls = None
    if transport == "tls":
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        server_tls = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem"
        )
        server_tls.verify_mode = ssl.CERT_REQUIRED
        server_tls.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    connections = set()
    server = jp_asyncio_loop.run_until_complete(
        _forwarder(docker_engine_url, server_tls, connections)
    )
    port = server.sockets[0].getsockname()[1]
    engine = open_engine(f"tcp://127.0.0.1:{port}", data_dir=tmp_path)
    yield engine

    async def close():
        for state in await engine.list(test_labels):
            await engine.remove(state.id)
        await engine.aclose()
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    jp_asyncio_loop.run_until_complete(close())


async def _forwarder(url, tls, connections):
    async def forward(reader, writer):
        connections.add(asyncio.current_task())
        engine_reader, engine_writer = await asyncio.open_unix_connection(urlsplit(url).path)
        await asyncio.gather(_copy(reader, engine_writer), _copy(engine_reader, writer))

    return await asyncio.start_server(forward, "127.0.0.1", 0, ssl=tls)


async def _copy(reader, writer):
    try:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
                return
        writer.close()
    except asyncio.CancelledError:
        writer.close()
        raise


async def test_an_engine_behind_tcp_is_on_another_machine(engine):
    facts = await engine.probe()
    assert not facts.local
    assert not engine.shares_sockets()


async def test_only_tls_cannot_end_standard_input_alone(engine, running, transport):
    stream = await engine.open_stream(await running(), ("cat",))
    await stream.write(b"abc")
    if transport == "tls":
        with pytest.raises(CapabilityMissingError):
            await stream.close_stdin()
    else:
        await stream.close_stdin()
        assert await read_all(stream) == (b"abc", b"")
    await stream.aclose()


@pytest.mark.parametrize("transport", ["tls"])
async def test_an_engine_that_wants_certificates_is_an_error(engine, monkeypatch, tmp_path):
    monkeypatch.delenv("DOCKER_CERT_PATH")
    monkeypatch.delenv("DOCKER_TLS_VERIFY")
    stranger = open_engine(engine.name, data_dir=tmp_path)
    with pytest.raises(EngineUnreachableError):
        await stranger.probe()
    await stranger.aclose()
