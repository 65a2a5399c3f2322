"""How one Docker engine is asked: short questions in threads, long ones on the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import Any, TypeVar

from docker import APIClient
from docker.errors import create_api_error_from_http_exception
from requests.exceptions import HTTPError

from ..errors import DlenvError, EngineError, EngineTooOldError
from .completion import to_its_end
from .docker_endpoint import DockerEndpoint
from .docker_errors import refusal, translated
from .docker_http import Answer, request

T = TypeVar("T")

#: Enough that one slow answer does not hold up the others, whatever is asked.
_THREADS = 8
_FIRST_ANSWER_SECONDS = 10
_ANSWER_SECONDS = 60
_OLDEST_API = "1.41"
_REFUSAL_BYTES = 64 * 1024


class DockerConnection:
    """Connects when it is first asked something, and again after a failure."""

    def __init__(self, endpoint: DockerEndpoint) -> None:
        self.endpoint = endpoint
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dlenv-docker")
        self._client: APIClient | None = None
        self._connecting = threading.Lock()

    async def call(
        self, work: Callable[[APIClient], T], *, missing: type[DlenvError] = EngineError
    ) -> T:
        """Do something short with docker-py in a thread.

        Args:
            missing: What it means when the engine answers 404.
        """

        def translated_work() -> T:
            with translated(self.endpoint.url, missing=missing):
                return work(self._connected())

        return await self.run(translated_work)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do something that blocks in one of the engine's threads."""
        loop = asyncio.get_running_loop()
        return await to_its_end(loop.run_in_executor(self._threads, work, *args))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        refused: Callable[[int, str], DlenvError] = refusal,
        **arguments: Any,
    ) -> Answer:
        """Ask for something that takes long; the caller reads and closes the answer.

        Args:
            refused: What it means when the engine answers with this status and text.
            arguments: As for ``docker_http.request``.
        """
        version = await self.call(lambda client: str(client.api_version))
        with translated(self.endpoint.url):
            answer = await request(self.endpoint, method, f"/v{version}{path}", **arguments)
            if answer.status < 400:
                return answer
            try:
                text = (await answer.read_all(_REFUSAL_BYTES)).decode(errors="replace")
            finally:
                answer.close()
        raise refused(answer.status, _message(text))

    @asynccontextmanager
    async def asking(self, method: str, path: str, **arguments: Any) -> AsyncIterator[Answer]:
        """Ask as ``ask`` does, and translate what fails while the answer is read."""
        answer = await self.ask(method, path, **arguments)
        try:
            with translated(self.endpoint.url):
                yield answer
        finally:
            answer.close()

    def close(self) -> None:
        """Let go of the threads and connections; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _connected(self) -> APIClient:
        with self._connecting:
            if self._client is None:
                # docker-py can ask for the version itself, but then forgets to close its
                # connections when that fails.
                with closing(self._new_client(_OLDEST_API, _FIRST_ANSWER_SECONDS)) as first:
                    version = _newest_api(first)
                _check_version(version)
                self._client = self._new_client(version, _ANSWER_SECONDS)
            return self._client

    def _new_client(self, version: str, timeout: int) -> APIClient:
        arguments = self.endpoint.client_arguments()
        client = APIClient(**arguments, version=version, timeout=timeout, max_pool_size=_THREADS)
        # requests would prefer a company's REQUESTS_CA_BUNDLE to the engine's own authority:
        # https://github.com/psf/requests/issues/3829
        client.trust_env = False
        return client


def _newest_api(client: APIClient) -> str:
    # An engine asks its runtimes for theirs before it tells its version: 5 ms, for each kernel.
    answer = client.get(f"{client.base_url}/_ping", timeout=client.timeout)
    try:
        answer.raise_for_status()
    except HTTPError as error:
        raise create_api_error_from_http_exception(error) from error
    return answer.headers.get("Api-Version") or str(
        client.version(api_version=False).get("ApiVersion", "0")
    )


def _check_version(version: str) -> None:
    if _number(version) < _number(_OLDEST_API):
        raise EngineTooOldError(
            f"The engine speaks Docker's API {version}; {_OLDEST_API} is the oldest supported."
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
