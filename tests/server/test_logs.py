"""The log of an environment over HTTP: as much as asked, as it comes, and no longer."""

from __future__ import annotations

import asyncio

import pytest

from .client import until


@pytest.fixture
def follow(jp_fetch):
    """Return a function that follows a log in the background, into a list of chunks."""

    def start(name: str, chunks: list[bytes]):
        return asyncio.ensure_future(
            jp_fetch(
                "dlenv", "api", "environments", name, "logs",
                params={"follow": "1"}, streaming_callback=chunks.append, request_timeout=30,
            )
        )  # fmt: skip

    return start


async def test_the_log_is_plain_text(api, launched):
    await launched("a")

    answer = await api.get("/environments/a/logs")

    assert "text/plain; charset=utf-8" == answer.headers["Content-Type"]
    assert "no-store" == answer.headers["Cache-Control"]


@pytest.mark.parametrize("tail", ["-1", "x", "1e3", "99999999999", "\u0661"])
async def test_a_tail_that_is_no_number_is_refused(api, tail):
    answer = await api.get("/environments/a/logs", params={"tail": tail})

    assert (400, "invalid-spec") == (answer.code, answer.error["code"])


async def test_following_ends_when_the_environment_ends(api, dlenv, launched, follow):
    await launched("a")
    following = follow("a", [])
    await until(lambda: dlenv.following, what="a follower")

    await api.post("/environments/a/stop")
    response = await following

    assert 200 == response.code
    assert not dlenv.following


async def test_following_ends_when_the_client_hangs_up(dlenv, launched, jp_http_port, raw_request):
    await launched("a")
    hang_up = await raw_request("/dlenv/api/environments/a/logs?follow=1")
    await until(lambda: dlenv.following, what="a follower")

    await hang_up()

    await until(lambda: not dlenv.following, what="the end of the follower")


async def test_following_ends_when_the_server_stops(dlenv, launched, follow, jp_serverapp):
    await launched("a")
    following = follow("a", [])
    await until(lambda: dlenv.following, what="a follower")

    await jp_serverapp.cleanup_extensions()

    assert not dlenv.following
    following.cancel()


@pytest.fixture
def raw_request(jp_auth_header, jp_base_url, http_server_port):
    """Return a function that sends a request and returns how to hang up in the middle of it."""

    async def request(path: str):
        reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[-1])
        headers = "".join(f"{key}: {value}\r\n" for key, value in jp_auth_header.items())
        url = jp_base_url.rstrip("/") + path
        writer.write(f"GET {url} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 10)

        async def hang_up() -> None:
            writer.close()
            await writer.wait_closed()

        return hang_up

    return request
