"""SSH to environments: keys before the start, the server after it, and nothing at the end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InvalidSpecError, SshUnavailableError
from ..kernels.link import AgentLink
from ..models import Environment
from .client import SshTarget, alias_of, host_block, stream_command
from .keys import Note, SshFiles, SshKeys
from .ports import SshPorts
from .public_keys import own_public_keys, public_key, without_twins

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """What is configured.

    Attributes:
        first_port: Of the host, for the first environment; 0 publishes no port.
        allowed_ports: Lowest and highest port that may be published.
        own_keys: The directory with the user's keys, if those are let in.
        keys: Further public keys that are let in everywhere.
    """

    first_port: int = 7603
    allowed_ports: tuple[int, int] = (1024, 65535)
    own_keys: Path | None = None
    keys: tuple[str, ...] = ()


class SshAccess:
    """The way into the environments of one owner.

    Args:
        base: The directory of keys.
        settings: ``None`` makes no new environment reachable; those that are stay so.

    Attributes:
        keys: The files of all environments.
        wanted: New environments are made reachable.
        ports: Chooses the host ports of new environments, if any are to be published.
    """

    def __init__(self, base: Path, settings: SshSettings | None) -> None:
        self.keys = SshKeys(base)
        self.wanted = settings is not None
        self._settings = settings or SshSettings()
        self.ports: SshPorts | None = None
        if self.wanted and self._settings.first_port:
            self.ports = SshPorts(
                base / "ports.lock",
                first=self._settings.first_port,
                allowed=self._settings.allowed_ports,
            )

    def checked(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return public keys as clean lines, for a new environment.

        Raises:
            InvalidSpecError: One of them is none.
            SshUnavailableError: New environments are not made reachable.
        """
        if keys and not self.wanted:
            raise SshUnavailableError(
                "Environments are launched without SSH here, so no key can be let in.",
                hint="Leave the keys out, or ask for `c.Configuration.ssh = True`.",
            )
        return tuple(public_key(key) for key in keys)

    async def make_keys(
        self,
        environment_id: str,
        *,
        name: str,
        engine_id: str,
        like: str = "",
        let_in: tuple[str, ...] = (),
    ) -> None:
        """Make the keys of a new environment, if it shall have some.

        A machine that cannot make keys can still run environments.

        Args:
            like: The id of one whose place it takes: its keys are kept.
            let_in: Clean public keys to authorise from the start.
        """
        files = self.keys.of(environment_id)
        known = self.keys.of(like or environment_id)
        if await asyncio.to_thread(known.exist):
            await asyncio.to_thread(files.take_over, known, engine_id=engine_id)
        elif self.wanted:
            try:
                await asyncio.to_thread(files.make, alias=alias_of(name), engine_id=engine_id)
                if let_in:
                    await asyncio.to_thread(files.authorize, let_in)
            except SshUnavailableError as error:
                _log.warning("No SSH for %s: %s %s", name, error, error.hint)
                await asyncio.to_thread(files.discard)

    async def open(
        self, environment: Environment, link: AgentLink, *, owner: str, isolated: bool
    ) -> None:
        """Have the agent run the server, and write how clients reach it.

        An environment without keys, or without a server, stays as it is.

        Args:
            isolated: The environment has a file system of its own.
        """
        files = self.keys.of(environment.id)
        if not await asyncio.to_thread(files.exist):
            return
        before = await asyncio.to_thread(files.note)
        if before is None:
            return
        try:
            user = await link.configure_ssh(
                host_key=await asyncio.to_thread(files.read, files.host_key),
                authorized_keys=await asyncio.to_thread(self._authorized, files),
                listen=environment.ssh_port > 0,
                own_system=isolated,
            )
            note = replace(before, user=user, unavailable="")
        except SshUnavailableError as error:
            _log.warning("No SSH for %s: %s %s", environment.name, error, error.detail)
            note = replace(before, user="", unavailable=str(error))
        await asyncio.to_thread(_write, files, note, environment, owner)

    async def authorize(self, environment_id: str, keys: tuple[str, ...]) -> None:
        """Let further public keys in, from the next ``open`` on.

        Raises:
            InvalidSpecError: One of them is none; nothing has changed.
            SshUnavailableError
        """
        if not keys:
            raise InvalidSpecError("There is no public key to authorise.")
        clean = tuple(public_key(key) for key in keys)
        files = self.keys.of(environment_id)
        if not await asyncio.to_thread(files.exist):
            raise _no_keys()
        await asyncio.to_thread(files.authorize, clean)

    async def target(self, environment: Environment, *, owner: str) -> SshTarget:
        """Return how clients see an environment.

        Raises:
            SshUnavailableError: There is no server, or its keys are not on this machine.
        """
        files = self.keys.of(environment.id)
        return await asyncio.to_thread(_target, files, environment, owner)

    def discard(self, environment_id: str) -> None:
        """Remove keys and client settings of an environment, if they are there; blocks."""
        self.keys.of(environment_id).discard()

    def _authorized(self, files: SshFiles) -> str:
        settings = self._settings
        own = own_public_keys(settings.own_keys) if settings.own_keys else ()
        configured = tuple(public_key(key) for key in settings.keys)
        keys = (files.client_public_key(), *files.authorized(), *configured, *own)
        return "".join(f"{key}\n" for key in without_twins(keys))


def _write(files: SshFiles, note: Note, environment: Environment, owner: str) -> None:
    files.write_note(note)
    if not note.user:
        files.config.unlink(missing_ok=True)
        return
    target = _target(files, environment, owner)
    files.write(files.config, f"# Written by jupyter_dlenv.\n{host_block(target)}")


def _target(files: SshFiles, environment: Environment, owner: str) -> SshTarget:
    note = files.note()
    if note is None or not files.exist():
        raise _no_keys()
    if not note.user:
        raise SshUnavailableError(
            note.unavailable or "The SSH server of the environment has not been started yet.",
            hint="" if note.unavailable else f"`jupyter dlenv start {environment.name}`",
        )
    return SshTarget(
        alias=alias_of(environment.name),
        name=environment.name,
        user=note.user,
        port=environment.ssh_port,
        host_key=files.host_public_key(),
        directory=files.directory,
        stream=stream_command(environment.name, engine=environment.engine, owner=owner),
    )


def _no_keys() -> SshUnavailableError:
    return SshUnavailableError(
        "The environment was launched without SSH, or its keys are on another machine.",
        hint="Use `jupyter dlenv shell NAME`, or launch it again with SSH configured.",
    )
