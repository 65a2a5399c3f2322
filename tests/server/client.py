"""What the tests of the server talk with: the REST API, the event bus and a kernel's websocket."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from tornado.httpclient import HTTPClientError

PATIENCE = 30.0


async def until(
    condition: Callable[[], Any],
    *,
    what: str = "",
    seen: Callable[[], Any] = lambda: "",
    patience: float = PATIENCE,
) -> Any:
    """Return what a condition returns as soon as that is true; else tell what was seen."""
    end = time.monotonic() + patience
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {patience} s for {what or condition} {seen()}"
        await asyncio.sleep(0.01)
    return result


@dataclass(frozen=True)
class Answer:
    code: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        return self.json["error"]


class API:
    """The REST API, whose answers must be as its description says."""

    def __init__(self, fetch, document) -> None:
        self._fetch = fetch
        self._document = document

    async def get(self, path: str, **options) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options) -> Answer:
        text = body if isinstance(body, (str, bytes)) else json.dumps(body) if body else ""
        return await self.ask("POST", path, body=text, **options)

    async def delete(self, path: str, **options) -> Answer:
        return await self.ask("DELETE", path, **options)

    async def ask(self, verb: str, path: str, **options) -> Answer:
        parts = path.strip("/").split("/")
        try:
            response = await self._fetch("dlenv", "api", *parts, method=verb, **options)
        except HTTPClientError as error:
            if error.response is None:
                raise
            response = error.response
        answer = Answer(response.code, response.body, response.headers)
        self._check(verb, path, answer)
        return answer

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Return a job when it has ended."""
        return await self._ended(f"/jobs/{job_id}")

    async def pulled(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Return a pull when it has ended."""
        return await self._ended(f"/pulls/{pull['id']}")

    async def saved(self, save: dict[str, Any]) -> dict[str, Any]:
        """Return a saving when it has ended."""
        return await self._ended(f"/saves/{save['id']}")

    async def _ended(self, path: str) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while True:
            job = (await self.get(path)).json
            if job["ended"]:
                return job
            assert time.monotonic() < end, f"the job is {job['phase']} after {PATIENCE} s"
            await asyncio.sleep(0.02)

    def _check(self, verb: str, path: str, answer: Answer) -> None:
        described = self._operation(path)[verb.lower()]["responses"]
        response = described.get(str(answer.code)) or described["default"]
        if "$ref" in response:
            response = self._document["components"]["responses"][response["$ref"].split("/")[-1]]
        assert answer.code < 400 or response["description"] == "It failed."
        assert sorted(response.get("headers", {})) == [
            header for header in response.get("headers", {}) if header in answer.headers
        ]
        content = response.get("content", {})
        if not content:
            assert not answer.body
            return
        kind = answer.headers["Content-Type"].partition(";")[0]
        if kind == "application/json":
            schema = {**content[kind]["schema"], "components": self._document["components"]}
            Draft202012Validator(schema).validate(answer.json)
        assert kind in content

    def _operation(self, path: str) -> dict[str, Any]:
        parts = path.split("/")
        for template, operations in self._document["paths"].items():
            described = template.split("/")
            if len(described) == len(parts) and all(
                d.startswith("{") or d == p for d, p in zip(described, parts, strict=True)
            ):
                return operations
        raise AssertionError(f"{path} is not described")


class EventLog:
    """The events that a page has received."""

    def __init__(self, socket) -> None:
        self.received: list[dict[str, Any]] = []
        self._socket = socket
        self._reading = asyncio.ensure_future(self._read())

    def of(self, schema: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["schema_id"] == schema]

    async def aclose(self) -> None:
        self._socket.close()
        await asyncio.wait([self._reading], timeout=5)

    async def _read(self) -> None:
        while (message := await self._socket.read_message()) is not None:
            self.received.append(json.loads(message))


class Kernel:
    """A kernel behind the server's websocket."""

    def __init__(self, kernel_id: str, fetch, socket) -> None:
        self.id = kernel_id
        self._fetch = fetch
        self._socket = socket

    @classmethod
    async def start(cls, fetch, ws_fetch, name: str) -> Kernel:
        body = json.dumps({"name": name})
        response = await fetch("api", "kernels", method="POST", body=body, request_timeout=60)
        kernel_id = json.loads(response.body)["id"]
        return cls(kernel_id, fetch, await ws_fetch("api", "kernels", kernel_id, "channels"))

    async def execute(self, code: str) -> str:
        """Run a cell and return what it printed and its result, as text."""
        request = await self.begin(code)
        return await asyncio.wait_for(self._output(request), PATIENCE)

    async def begin(self, code: str) -> str:
        """Begin to run a cell; return the id of the request."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": "test",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._socket.write_message(json.dumps({**message, "channel": "shell", "buffers": []}))
        return header["msg_id"]

    async def state(self) -> str:
        """Return what the server says of it, to a sidebar for example."""
        model = json.loads((await self._fetch("api", "kernels", self.id)).body)
        return model["execution_state"]

    async def until_restarting(self) -> None:
        """Return when the page has been told that the kernel is started again."""
        await asyncio.wait_for(self._heard("restarting"), PATIENCE)

    async def end(self) -> None:
        await self._fetch("api", "kernels", self.id, method="DELETE")

    async def aclose(self) -> None:
        self._socket.close()
        try:
            await self.end()
        except HTTPClientError as error:
            # A test may have ended it.
            assert error.code == 404  # noqa: PT017

    async def _heard(self, state: str) -> None:
        while True:
            message = json.loads(await self._socket.read_message())
            if message["content"].get("execution_state") == state:
                return

    async def _output(self, msg_id: str) -> str:
        output = ""
        while True:
            message = json.loads(await self._socket.read_message())
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    output += content["text"]
                case "execute_result":
                    output += content["data"]["text/plain"]
                case "error":
                    output += "\n".join([content["ename"], content["evalue"]])
                case "status" if content["execution_state"] == "idle":
                    return output
