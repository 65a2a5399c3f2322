"""A real Jupyter server with the extension on the process engine, and a client for it.

Every answer that any test sees is checked against the description of the API.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing, suppress

import pytest

from jupyter_dlenv.errors import DlenvError
from jupyter_dlenv.server import openapi

from .client import API, EventLog, Kernel


@pytest.fixture
def engine() -> str:
    """Name the engine; a module or a test overrides it."""
    return "process"


@pytest.fixture
def image() -> str:
    return "python"


@pytest.fixture
def configuration(engine, tmp_path, run_id):
    """Return what stands in jupyter_dlenv_config.py."""
    return {
        "engine": engine,
        # Of this test's own: what it lists is what it made.
        "owner": f"{run_id}-{uuid.uuid4().hex[:6]}",
        "data_dir": str(tmp_path / "d"),
        "runtime_dir": str(tmp_path / "r"),
    }


@pytest.fixture
def jp_server_config(configuration):
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_dlenv": True}},
        "Configuration": configuration,
    }


@pytest.fixture
def dlenv(jp_serverapp, jp_asyncio_loop):
    """Return the extension of the running server; what it launched is removed at the end."""
    app = jp_serverapp.extension_manager.extension_points["jupyter_dlenv"].app
    yield app
    jp_asyncio_loop.run_until_complete(_remove_all(app))


async def _remove_all(app) -> None:
    await app.jobs.aclose()
    for engine in ("", *app.engines.opened):
        with suppress(DlenvError):
            # Not the server's own, which a test may have closed.
            async with aclosing(app.configuration.open(engine)) as environments:
                for environment in await environments.list():
                    with suppress(DlenvError):
                        await environments.remove(environment.name)


@pytest.fixture
def started(dlenv, jp_serverapp, jp_asyncio_loop):
    """Run what the server runs once its loop does, which pytest-jupyter leaves out."""
    jp_asyncio_loop.run_until_complete(jp_serverapp._post_start())
    return dlenv


@pytest.fixture
def api(dlenv, jp_fetch):
    return API(jp_fetch, openapi.description("/dlenv/api"))


@pytest.fixture
def launched(api, image):
    """Return a function that launches an environment through the API, and waits for it."""

    async def launch(name: str = "a", **fields):
        answer = await api.post("/environments", {"name": name, "image": image, **fields})
        assert 202 == answer.code, answer.json
        return await api.ended(answer.json["id"])

    return launch


@pytest.fixture
def event_log(jp_ws_fetch, dlenv, jp_asyncio_loop):
    """Listen on the events websocket, as a page does."""
    socket = jp_asyncio_loop.run_until_complete(jp_ws_fetch("api", "events", "subscribe"))
    log = EventLog(socket)
    yield log
    jp_asyncio_loop.run_until_complete(log.aclose())


@pytest.fixture
def start_kernel(jp_fetch, jp_ws_fetch, dlenv, jp_asyncio_loop):
    """Return a function that starts a kernel over REST and connects to its websocket."""
    kernels: list[Kernel] = []

    async def start(kernel_name: str) -> Kernel:
        kernel = await Kernel.start(jp_fetch, jp_ws_fetch, kernel_name)
        kernels.append(kernel)
        return kernel

    yield start

    async def close():
        await asyncio.gather(*(kernel.aclose() for kernel in kernels))

    jp_asyncio_loop.run_until_complete(close())
