"""The line in which launches wait for GPUs: a container for each, which is never started.

It lives on the engine, so whoever launches there sees the same line, and a server that comes
back finds its places again.  A place counts as long as the process lives that waits; those of
a server are kept for it for a day.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..engines.base import ContainerPlan, ContainerState, Engine
from ..engines.completion import to_its_end, undisturbed
from ..errors import ContainerNotFoundError, InvalidSpecError, NoFreeGpuError
from ..gpu_request import GpuRequest
from ..labels import LAUNCHER, NAME, OWNER, ROLE, WAITS
from ..launcher import is_alive, own_identity
from ..untrusted import flag, typed
from .choose import choose, within_reach
from .inventory import Inventory

TICKET = "gpu-ticket"
_KEPT = timedelta(days=1)
#: Processes on other machines are believed for an hour, see ``launcher.py``.
_RENEWED = timedelta(minutes=30)


@dataclass(kw_only=True)
class PlaceInLine:
    """What somebody who waits brings along, and may change while they wait.

    Attributes:
        keep: For servers: what they need to go on waiting after a restart.  Whoever brings
            nothing loses the place with the process.
        ticket: Id of the ticket of a process that is gone, whose place is taken over.
        since: When that began to wait, ISO 8601.
        stays: Leave the ticket there when the waiting ends now.
    """

    keep: str = ""
    ticket: str = ""
    since: str = ""
    stays: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Somebody who waits, in order of ``since``."""

    since: str
    id: str
    name: str
    owner: str
    request: GpuRequest
    shared: bool
    keep: str
    alive: bool

    @classmethod
    def read(cls, state: ContainerState) -> Ticket | None:
        """Read a ticket; ``None`` if it is none of ours."""
        labels = state.labels
        try:
            wish = json.loads(labels[WAITS])
            if not isinstance(wish, Mapping):
                return None
            return cls(
                since=typed(wish, "since", str, "") or state.created,
                id=state.id,
                name=labels[NAME],
                owner=labels[OWNER],
                request=GpuRequest.parse(wish.get("gpus", 0)),
                shared=flag(wish, "shared"),
                keep=typed(wish, "keep", str, ""),
                alive=is_alive(labels[LAUNCHER], created=state.created),
            )
        except (KeyError, ValueError, InvalidSpecError):
            return None


def is_left_behind(state: ContainerState) -> bool:
    """Tell whether nobody will come back for a ticket."""
    ticket = Ticket.read(state)
    if ticket is None:
        return True
    return not ticket.alive and not (ticket.keep and _age(state.created) < _KEPT)


async def places_left(engine: Engine, *, owner: str) -> tuple[PlaceInLine, ...]:
    """Return the places in line of an owner's servers that are gone."""
    states = await engine.list({OWNER: owner, ROLE: TICKET})
    tickets = [ticket for ticket in map(Ticket.read, states) if ticket is not None]
    return tuple(
        PlaceInLine(keep=ticket.keep, ticket=ticket.id, since=ticket.since)
        for ticket in sorted(tickets, key=lambda t: (t.since, t.id))
        if ticket.keep and not ticket.alive
    )


def in_order(states: Iterable[ContainerState]) -> tuple[Ticket, ...]:
    """Return those who wait now, the first first."""
    tickets = (Ticket.read(state) for state in states)
    waiting = [ticket for ticket in tickets if ticket is not None and ticket.alive]
    return tuple(sorted(waiting, key=lambda t: (t.since, t.id)))


def kept_for(
    ahead: Sequence[Ticket], inventory: Inventory, reasons: Mapping[str, str]
) -> dict[str, str]:
    """Return what is kept for those ahead, by UUID, in words.

    Nobody behind them takes what they will get, or what they wait for more of; others may be
    taken, so that one who waits for a GPU of their own does not hold up everybody.
    """
    kept: dict[str, str] = {}
    for ticket in ahead:
        known = {**reasons, **kept}
        try:
            taken = choose(inventory, ticket.request, known, shared=ticket.shared).uuids
        except NoFreeGpuError:
            taken = within_reach(inventory, ticket.request, known)
        except InvalidSpecError:
            continue
        words = f"kept for environment {ticket.name} of {ticket.owner}, which waits in line"
        kept |= {uuid: words for uuid in taken if uuid not in known}
    return kept


@asynccontextmanager
async def standing_in_line(
    engine: Engine,
    place: PlaceInLine,
    *,
    name: str,
    owner: str,
    container: str,
    request: GpuRequest,
    shared: bool,
    image: str,
) -> AsyncIterator[Standing]:
    """Stand in line until the block ends.

    Args:
        name: Of the environment.
        container: Name of the ticket's container, so that nobody waits twice for one environment.
        image: One that the engine has.

    Raises:
        ContainerNameTakenError: Another launch of the environment waits already.
    """
    wish = {"gpus": request.to_json(), "shared": shared, "keep": place.keep}

    def plan(since: str) -> ContainerPlan:
        return ContainerPlan(
            name=container,
            image=image,
            command=("true",),
            labels={
                ROLE: TICKET,
                OWNER: owner,
                NAME: name,
                LAUNCHER: own_identity(),
                WAITS: json.dumps({**wish, "since": since}),
            },
            network=False,
        )

    standing = Standing(engine, plan, container=container)
    try:
        await standing.begin(since=place.since, instead_of=place.ticket)
        yield standing
    finally:
        if not place.stays:
            await undisturbed(standing.end)


class Standing:
    """One who stands in line, with a ticket that is renewed from time to time."""

    def __init__(
        self, engine: Engine, plan: Callable[[str], ContainerPlan], *, container: str
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._container = container
        self.ticket = ""
        self._since = ""

    async def begin(self, *, since: str, instead_of: str) -> None:
        """Take a ticket, and with it the place of another one."""
        if instead_of:
            await self._set_aside(instead_of)
        await to_its_end(self._take(since, instead_of))

    async def keep(self) -> None:
        """Renew the ticket if it is old or gone."""
        try:
            state = await self._engine.inspect(self.ticket)
        except ContainerNotFoundError:
            await to_its_end(self._take(self._since, ""))
            return
        if _age(state.created) > _RENEWED:
            await self._set_aside(self.ticket)
            await to_its_end(self._take(self._since, self.ticket))

    async def end(self) -> None:
        """Leave the line."""
        if self.ticket:
            await self._engine.remove(self.ticket)

    async def _set_aside(self, ticket: str) -> None:
        """Free the name of a ticket, which keeps its place until there is another one."""
        try:
            # Of its own: whoever was killed here before has left another one aside.
            await self._engine.rename(ticket, f"{self._container}.{secrets.token_hex(4)}")
        except ContainerNotFoundError:
            return

    async def _take(self, since: str, instead_of: str) -> None:
        self.ticket = await self._engine.create(self._plan(since))
        self._since = since or (await self._engine.inspect(self.ticket)).created
        if instead_of:
            await self._engine.remove(instead_of)


def _age(created: str) -> timedelta:
    try:
        moment = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return timedelta.max
    return datetime.now(timezone.utc) - moment
