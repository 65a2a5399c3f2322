"""The routes of an environment's ports and forwards."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.utils import url_path_join

from ..access.relay import Place
from ..errors import InvalidSpecError
from ..ports import ports_of
from ..untrusted import typed
from .base import DlenvHandler, needs

_FIELDS = frozenset({"port", "local_port"})


class PortsHandler(DlenvHandler):
    """All ports of an environment, and the ways to each."""

    @needs("read")
    async def get(self, name: str) -> None:
        environments = self.dlenv.environments()
        environment = await environments.get(name)
        forwards = await self.dlenv.keeper.list(Place.of(environment))
        uses = await ports_of(environments, environment, forwards)
        self.send_json({"ports": [use.to_json() for use in uses]})


class ForwardsHandler(DlenvHandler):
    """The forwards of an environment, and the way to a new one."""

    @needs("read")
    async def get(self, name: str) -> None:
        environment = await self.dlenv.environments().get(name)
        forwards = await self.dlenv.keeper.list(Place.of(environment))
        self.send_json({"forwards": [forward.to_json() for forward in forwards]})

    @needs("execute")
    async def post(self, name: str) -> None:
        body = self.read_json()
        unknown = sorted(set(body) - _FIELDS)
        if unknown:
            raise InvalidSpecError(f"A forward has no field {unknown[0]!r}.")
        environments = self.dlenv.environments()
        environment = await environments.get(name)
        forward = await self.dlenv.keeper.add(
            Place.of(environment),
            typed(body, "port", int, 0),
            local=typed(body, "local_port", int, 0),
            engine_id=(await environments.engine.probe()).id,
        )
        own = ("dlenv/api/environments", name, "forwards", str(forward.local_port))
        self.set_header("Location", url_path_join(self.base_url, *own))
        self.send_json(forward.to_json(), HTTPStatus.CREATED)


class ForwardHandler(DlenvHandler):
    """One forward."""

    @needs("write")
    async def delete(self, name: str, local_port: str) -> None:
        if not (local_port.isascii() and local_port.isdigit() and len(local_port) < 6):
            raise InvalidSpecError(f"{local_port[:40]!r} is not a port.")
        environment = await self.dlenv.environments().get(name)
        await self.dlenv.keeper.remove(Place.of(environment), int(local_port))
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()
