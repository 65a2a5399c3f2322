"""The wait until the agent of a container that was just started answers, or is known to be dead."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .engines.base import ContainerState, Engine
from .errors import DlenvError, EnvironmentDiedError
from .kernels.link import AgentLink

#: An image's entrypoint may check GPUs and print for a while before the agent starts.
AGENT_TIMEOUT = 120.0
_TRY_SECONDS = 0.01
#: The engine is asked less often: it has enough to do at the start of a container.
_LOOK_SECONDS = 0.25


async def agent_link(engine: Engine, container_id: str, directory: Path) -> AgentLink:
    """Return a link to the agent, which whoever asks closes; the container's end ends the wait.

    Raises:
        EnvironmentDiedError: It ended; its last words are in ``detail``.
        AgentUnreachableError: It runs and is silent.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + AGENT_TIMEOUT
    look = 0.0
    while True:
        try:
            return await AgentLink.connect(directory, timeout=1)
        except DlenvError as error:
            if loop.time() < look:
                await asyncio.sleep(_TRY_SECONDS)
                continue
            look = loop.time() + _LOOK_SECONDS
            state = await engine.inspect(container_id)
            if state.state != "running":
                raise EnvironmentDiedError(
                    f"The environment ended at once (exit code {state.exit_code}).",
                    detail=await _last_words(engine, container_id, state),
                ) from error
            if loop.time() > deadline:
                raise
            await asyncio.sleep(_TRY_SECONDS)


async def _last_words(engine: Engine, container_id: str, state: ContainerState) -> str:
    chunks = [chunk async for chunk in engine.logs(container_id, tail=30)]
    return "\n".join(filter(None, [state.error, b"".join(chunks).decode(errors="replace")]))
