"""Forwards: ports of this machine, on loopback, that lead to ports inside environments."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import (
    ForwardNotFoundError,
    InvalidSpecError,
    LocalPortTakenError,
    NotAllowedError,
)
from .forward_records import ForwardRecord, ForwardRecords, now_at
from .listener import LOCALHOST, Listener, bind, bind_near, who_listens
from .relay import Place, Port, Target

_log = logging.getLogger(__name__)
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One forward.

    Attributes:
        environment: The environment's name.
        port: Of the service inside.
        problem: Why nobody listens at the moment, or empty.
    """

    environment: str
    port: int
    local_port: int
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "port": self.port,
            "local_host": LOCALHOST,
            "local_port": self.local_port,
            "problem": self.problem,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Forward:
        """Read what ``to_json`` wrote."""
        return cls(
            environment=str(data["environment"]),
            port=int(data["port"]),
            local_port=int(data["local_port"]),
            problem=str(data["problem"]),
        )


@dataclass
class _Entry:
    place: Place
    engine_id: str
    forward: Forward
    listener: Listener | None


class Forwards:
    """The forwards that this process listens for.

    They stay while their environment is stopped or restarted, and end with ``remove``, with
    their environment, or with this process; what was recorded is listened for again by
    ``restore`` in the next one.

    Args:
        connect: Leads to the inside; see ``Relay.connect``.
        records: Where they are kept for the next process; ``None`` keeps nothing.
        allowed: Lowest and highest local port.
        changed: Called with the environment whose forwards have changed.
    """

    def __init__(
        self,
        connect: Callable[[Place, Target], Awaitable[socket.socket]],
        *,
        records: ForwardRecords | None,
        allowed: tuple[int, int],
        changed: Callable[[Place], None] = lambda _: None,
    ) -> None:
        self._connect = connect
        self._records = records
        self._allowed = allowed
        self._changed = changed
        #: By local port, which only one can have.
        self._entries: dict[int, _Entry] = {}
        self._changing = asyncio.Lock()

    def list(self, place: Place | None = None) -> tuple[Forward, ...]:
        """Return the forwards of one environment, or of all, by local port."""
        entries = [e for e in self._entries.values() if place is None or e.place.is_of(place)]
        return tuple(sorted((e.forward for e in entries), key=lambda f: f.local_port))

    async def add(self, place: Place, port: int, *, local: int = 0, engine_id: str) -> Forward:
        """Listen on a local port for a port inside.

        What exists is returned as it is.

        Args:
            local: 0 takes the same number as inside, or the next one that is free.

        Raises:
            InvalidSpecError, NotAllowedError
            LocalPortTakenError: By whom, as far as that can be seen.
        """
        self._check(port, local)
        async with self._changing:
            for forward in self.list(place):
                if forward.port == port and local in (0, forward.local_port):
                    return forward
            if local:
                listening = await self._bind(local)
            else:
                listening = await asyncio.to_thread(bind_near, port, self._allowed)
            local = int(listening.getsockname()[1])
            forward = Forward(environment=place.name, port=port, local_port=local)
            entry = _Entry(place, engine_id, forward, None)
            self._listen(entry, listening)
            self._entries[local] = entry
            try:
                await self._record(entry)
            except BaseException:
                await self._drop(entry)
                raise
        self._changed(place)
        return forward

    async def remove(self, place: Place, local: int) -> None:
        """Stop listening and cut off the connections of one forward.

        Raises:
            ForwardNotFoundError
        """
        async with self._changing:
            entry = self._entries.get(local)
            if entry is None or not entry.place.is_of(place):
                raise ForwardNotFoundError(
                    f"No port {local} of this machine leads to the environment {place.name!r}."
                )
            await self._drop(entry)
            await self._record(entry)
        self._changed(place)

    async def restore(self) -> None:
        """Listen for all that was recorded.

        A local port that somebody else has taken meanwhile is no failure: the forward says so.
        """
        if self._records is None:
            return
        async with self._changing:
            for record in await asyncio.to_thread(self._records.read_all):
                for local, port in record.ports:
                    await self._restore(record, local, port)

    async def try_again(self) -> None:
        """Listen on the local ports that somebody else had."""
        async with self._changing:
            for entry in list(self._entries.values()):
                if entry.listener is None:
                    await self._revive(entry)

    async def keep_only(self, places: Collection[Place], *, owner: str, engine_id: str) -> None:
        """End the forwards of environments that are gone, and let others follow re-created ones.

        Args:
            places: All environments of the owner on the engine.
        """
        async with self._changing:
            for entry in list(self._entries.values()):
                if entry.engine_id != engine_id or entry.place.owner != owner:
                    continue
                now = now_at(entry.place, places)
                if now is not None:
                    entry.place = now
                    continue
                await self._drop(entry)
                if self._records is not None:
                    await asyncio.to_thread(self._records.discard, entry.place.environment_id)

    async def aclose(self) -> None:
        """Stop listening; the records stay."""
        async with self._changing:
            for entry in list(self._entries.values()):
                await self._drop(entry)

    async def _restore(self, record: ForwardRecord, local: int, port: int) -> None:
        if local not in self._entries:
            forward = Forward(environment=record.place.name, port=port, local_port=local)
            entry = self._entries[local] = _Entry(record.place, record.engine_id, forward, None)
            await self._revive(entry)

    async def _revive(self, entry: _Entry) -> None:
        forward = entry.forward
        try:
            self._check(forward.port, forward.local_port)
            listening = await self._bind(forward.local_port)
        except (LocalPortTakenError, NotAllowedError, InvalidSpecError) as error:
            if forward.problem != str(error):
                _log.warning("A forward of %s cannot listen: %s", forward.environment, error)
            entry.forward = replace(forward, problem=str(error))
        else:
            entry.forward = replace(forward, problem="")
            self._listen(entry, listening)

    def _listen(self, entry: _Entry, listening: socket.socket) -> None:
        async def connect() -> socket.socket:
            # Wherever the environment is by then.
            return await self._connect(entry.place, Port(entry.forward.port))

        entry.listener = Listener(listening, connect)
        entry.listener.start()

    async def _drop(self, entry: _Entry) -> None:
        del self._entries[entry.forward.local_port]
        if entry.listener is not None:
            await entry.listener.aclose()

    async def _bind(self, local: int) -> socket.socket:
        mine = self._entries.get(local)
        if mine is not None and mine.listener is not None:
            other = mine.forward
            raise LocalPortTakenError(
                f"Port {local} of this machine leads to port {other.port} "
                f"of the environment {other.environment!r}."
            )
        try:
            return await asyncio.to_thread(bind, local)
        except LocalPortTakenError as error:
            who = await asyncio.to_thread(who_listens, local)
            if not who:
                raise
            raise LocalPortTakenError(
                f"Port {local} of this machine is used by {who}.", detail=error.detail
            ) from error

    async def _record(self, changed: _Entry) -> None:
        if self._records is None:
            return
        ports = [(f.local_port, f.port) for f in self.list(changed.place)]
        record = ForwardRecord(place=changed.place, engine_id=changed.engine_id, ports=tuple(ports))
        await asyncio.to_thread(self._records.write, record)

    def _check(self, port: int, local: int) -> None:
        low, high = self._allowed
        if not 1 <= port <= _HIGHEST_PORT:
            raise InvalidSpecError(f"{port} is not a port (1 to {_HIGHEST_PORT}).")
        if not 0 <= local <= _HIGHEST_PORT:
            raise InvalidSpecError(f"{local} is not a local port (1 to {_HIGHEST_PORT}).")
        if local and not low <= local <= high:
            raise NotAllowedError(
                f"Listening on port {local} is not allowed here (rule allowed_host_ports).",
                hint="Ask the administrator about c.Configuration.allowed_host_ports.",
            )
