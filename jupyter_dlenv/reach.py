"""How doors reach the SSH server of an environment, and let more keys in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .access.client import SshTarget, alias_of
from .access.connect import ConnectionSheet
from .access.connect import connection_sheet as sheet
from .access.ssh_config import UserSshConfig
from .engines.base import Stream
from .environments import Environments
from .errors import EnvironmentNotRunningError, SshUnavailableError
from .kernels.link import AgentLink
from .labels import PYTHON
from .models import Status
from .plan import RUNTIME_TARGET
from .ports import ports_of

_AGENT_SECONDS = 10.0
_CONNECT = """\
if [ -r "$0" ]; then . "$0"; fi
echo "There is no SSH server in this environment; jupyter dlenv connect NAME says why." >&2
exit 69
"""


async def ssh_target(environments: Environments, name: str) -> SshTarget:
    """Return how SSH clients see an environment, be it running or not.

    Raises:
        SshUnavailableError: There is no server, or its keys are not on this machine.
    """
    environment = await environments.get(name)
    return await environments.ssh.target(environment, owner=environments.owner)


async def connection_sheet(
    environments: Environments,
    name: str,
    *,
    url: str = "",
    via: str = "",
    path: str = "",
    engine: str = "",
) -> ConnectionSheet:
    """Return all ways into an environment.

    Args:
        environments: Those among which it is.
        name: Of the environment.
        url: Of the Jupyter server, if there is one.
        via: ``user@host`` of this machine as others call it.
        path: What editors open; by default where kernels start.
        engine: What ``--engine`` has to say; empty for the default one.
    """
    environment = await environments.get(name)
    state = await environments.engine.inspect(environment.container_id)
    target, unavailable = None, ""
    try:
        target = await environments.ssh.target(environment, owner=environments.owner)
    except SshUnavailableError as error:
        unavailable = f"{error} {error.hint}"
    config = user_ssh_config(environments)
    return sheet(
        environment,
        target,
        alias=alias_of(name),
        container=state.name if (await environments.engine.probe()).isolated else "",
        python=state.labels.get(PYTHON, ""),
        unavailable=unavailable,
        installed=await asyncio.to_thread(config.installed),
        url=url,
        via=via,
        path=path,
        engine=engine,
        uses=await ports_of(environments, environment, ()),
    )


def user_ssh_config(environments: Environments) -> UserSshConfig:
    """Return the user's own SSH configuration, which may include these environments."""
    return UserSshConfig(Path.home() / ".ssh" / "config", environments.ssh.keys.base)


async def open_ssh(environments: Environments, name: str) -> Stream:
    """Connect with the SSH server of a running environment, whether a port leads to it or not.

    Whoever connects says so on the stream if there is no server; no keys are needed here.

    Raises:
        EnvironmentNotRunningError, AgentUnreachableError
    """
    environment = await environments.get(name)
    if environment.status is not Status.RUNNING:
        raise EnvironmentNotRunningError(
            f"The environment {name!r} is stopped.", hint=f"`jupyter dlenv start {name}`"
        )
    # The server lets in the agent's user only, and can be run by nobody else.
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=_AGENT_SECONDS)
    await link.aclose()
    isolated = (await environments.engine.probe()).isolated
    inside = RUNTIME_TARGET if isolated else environment.runtime_dir
    return await environments.engine.open_stream(
        environment.container_id,
        ("/bin/sh", "-c", _CONNECT, f"{inside}/ssh-stream"),
        user=f"{link.hello.uid}:{link.hello.gid}" if isolated else "",
    )


async def authorize(environments: Environments, name: str, keys: tuple[str, ...]) -> None:
    """Let further public keys into an environment, at once if it runs.

    Raises:
        InvalidSpecError: One of them is none; nothing has changed.
        SshUnavailableError
    """
    environment = await environments.get(name)
    await environments.ssh.authorize(environment.id, keys)
    if environment.status is Status.RUNNING:
        # The agent hears of them as at a start.
        await environments.start(name)
