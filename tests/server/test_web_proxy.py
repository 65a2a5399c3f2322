"""Web services of an environment below the Jupyter URL, and what they do not get to see."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest
from rig import agents
from tornado.httpclient import HTTPClientError

from jupyter_dlenv.kernels.link import AgentLink

SERVICE = '''
import asyncio, json, subprocess, sys
code = """
import asyncio, json, sys
from tornado import web, websocket
class Show(web.RequestHandler):
    def get(self, path):
        self.set_cookie("mine", "service")
        self.add_header("Set-Cookie", "_xsrf=stolen; Path=/")
        asked = self.request
        self.write({"path": path, "query": asked.query, "headers": dict(asked.headers)})
    def post(self, path):
        self.write(self.request.body)
class Move(web.RequestHandler):
    def get(self): self.redirect("/elsewhere")
class Large(web.RequestHandler):
    def get(self): self.write(b"x" * 5_000_000)
class Echo(websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))
async def main():
    app = web.Application([("/move", Move), ("/large", Large), ("/ws", Echo), ("/(.*)", Show)])
    server = app.listen(0, "127.0.0.1")
    print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
service = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
print(service.stdout.readline())
'''


@pytest.fixture
def service(dlenv, launched):
    """Return a function that launches ``a`` with a web application inside; it gives the port."""

    async def serve() -> str:
        await launched("a")
        directory = Path((await dlenv.environments().get("a")).runtime_dir)
        async with aclosing(await AgentLink.connect(directory, timeout=5)) as link:
            kernel = await link.start_kernel("k", key=agents.KEY, env={}, cwd="")
            async with agents.client_of(directory, kernel) as client:
                return (await agents.execute(client, SERVICE)).strip()

    return serve


async def failure(fetching) -> HTTPClientError:
    with pytest.raises(HTTPClientError) as caught:
        await fetching
    return caught.value


async def test_pages_and_websockets_pass_below_the_base_url(service, jp_fetch, jp_ws_fetch):
    port = await service()
    place = ("dlenv", "proxy", "a", port)

    shown = json.loads((await jp_fetch(*place, "some", "page", params={"q": "ü"})).body)
    posted = await jp_fetch(*place, "x", method="POST", body="sent")
    large = await jp_fetch(*place, "large")
    moved = await failure(jp_fetch(*place, "move", follow_redirects=False))
    slashed = await failure(jp_fetch(*place, follow_redirects=False))
    socket = await jp_ws_fetch(*place, "ws")
    answers = []
    for message in ("text", b"\x00binary"):
        await socket.write_message(message, binary=isinstance(message, bytes))
        answers.append(await asyncio.wait_for(socket.read_message(), 10))
    socket.close()

    assert ("some/page", "q=%C3%BC") == (shown["path"], shown["query"])
    prefix = f"/a%40b/dlenv/proxy/a/{port}"
    assert prefix.replace("%40", "@") == shown["headers"]["X-Forwarded-Prefix"].replace("%40", "@")
    assert b"sent" == posted.body
    assert 5_000_000 == len(large.body)
    assert (302, f"{prefix}/elsewhere") == (moved.code, moved.response.headers["Location"])
    assert (302, f"{prefix}/") == (slashed.code, slashed.response.headers["Location"])
    assert ["text", b"\x00binary"] == answers


async def test_a_service_never_sees_what_identifies_the_user_to_jupyter(
    service, jp_fetch, jp_serverapp
):
    port = await service()
    secret = jp_serverapp.identity_provider.token
    cookies = f"username-localhost-8888=1; mine=2; _xsrf=3; jupyterhub-session-id=4; x={port}"
    headers = {"Cookie": cookies, "X-XSRFToken": "3"}

    by_header = await jp_fetch("dlenv", "proxy", "a", port, "p", headers=headers)
    by_query = await jp_fetch(
        "dlenv", "proxy", "a", port, "p",
        params={"token": secret, "q": "1"}, headers={**headers, "Authorization": ""},
    )  # fmt: skip

    for answer in (by_header, by_query):
        seen = json.loads(answer.body)
        assert f"mine=2; x={port}" == seen["headers"]["Cookie"]
        assert secret not in answer.body.decode()
        assert not {"Authorization", "X-Xsrftoken"} & set(seen["headers"])
        assert ["mine"] == [
            c.partition("=")[0] for c in answer.headers.get_list("Set-Cookie") if "service" in c
        ]
        assert "stolen" not in str(answer.headers.get_list("Set-Cookie"))
    assert "q=1" == json.loads(by_query.body)["query"]


async def test_nobody_reaches_a_service_without_a_login_or_from_another_site(
    service, jp_fetch, jp_ws_fetch
):
    port = await service()
    place = ("dlenv", "proxy", "a", port, "x")
    stranger = {"Authorization": "token forged"}
    cookie = "; ".join(
        found.partition(";")[0]
        for found in (await jp_fetch("api", "status")).headers.get_list("Set-Cookie")
    )
    browser = {"Authorization": "", "Cookie": cookie}
    site = {**browser, "Origin": "https://evil.example"}

    posted_by_page = await jp_fetch(*place, method="POST", body="1", headers=browser)
    page = await failure(jp_fetch(*place, headers=stranger, follow_redirects=False))
    posted = await failure(jp_fetch(*place, method="POST", body="", headers=stranger))
    socket = await failure(jp_ws_fetch(*place[:-1], "ws", headers=stranger))
    elsewhere = await failure(jp_fetch(*place, method="POST", body="", headers=site))
    elsewhere_socket = await failure(jp_ws_fetch(*place[:-1], "ws", headers=site))

    assert b"1" == posted_by_page.body
    assert (302, True) == (page.code, "login" in page.response.headers["Location"])
    assert [403, 403, 403, 403] == [
        posted.code, socket.code, elsewhere.code, elsewhere_socket.code
    ]  # fmt: skip


async def test_why_a_service_cannot_be_shown_is_said(launched, api, jp_fetch):
    missing = await failure(jp_fetch("dlenv", "proxy", "a", "6006", "x"))
    await launched("a")
    silent = await failure(jp_fetch("dlenv", "proxy", "a", "1", "x"))
    await api.post("/environments/a/stop")
    stopped = await failure(jp_fetch("dlenv", "proxy", "a", "1", "x"))

    assert (404, True) == (missing.code, b"no environment" in missing.response.body)
    assert (502, True) == (silent.code, b"Nothing answers on port 1" in silent.response.body)
    assert (409, True) == (stopped.code, b"is not running" in stopped.response.body)


async def test_the_doors_of_a_server_that_was_killed_are_swept(dlenv, service, jp_fetch):
    port = await service()
    left = Path(dlenv.configuration.runtime_dir) / "w-killed"
    left.mkdir()

    await jp_fetch("dlenv", "proxy", "a", port, "x")
    own = dlenv.doors._own
    swept = not left.exists()
    await dlenv.doors.aclose()

    assert swept
    assert not own.exists()
