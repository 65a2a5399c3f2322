"""The routes of the engine in use, and of those that may be used instead."""

from __future__ import annotations

import dataclasses

from ..errors import InvalidSpecError
from ..secrecy import without_password
from .base import DlenvHandler, needs


class EngineHandler(DlenvHandler):
    """The engine itself, and the way to another one."""

    @needs("read")
    async def get(self) -> None:
        engine = self.dlenv.environments().engine
        facts = dataclasses.asdict(await engine.probe())
        self.send_json({"name": without_password(engine.name), **facts})

    @needs("execute")
    async def put(self) -> None:
        body = self.read_json()
        name = body.pop("name", "")
        if not isinstance(name, str) or not name or body:
            raise InvalidSpecError("An engine is chosen by its name, and nothing else.")
        await self.dlenv.engines.use(name)
        self.send_json(self.dlenv.engines.to_json())


class EnginesHandler(DlenvHandler):
    """All engines that this server has a name for."""

    @needs("read")
    async def get(self) -> None:
        self.send_json(self.dlenv.engines.to_json())
