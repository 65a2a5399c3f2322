"""The routes that take an environment elsewhere: as a file for another tool, and as an image."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.utils import url_path_join

from ..errors import InvalidSpecError
from ..exporting import export_environment
from ..models import validate_name
from .base import API, DlenvHandler, needs

_LONGEST_NAME = 500


class ExportHandler(DlenvHandler):
    """An environment as a file for another tool."""

    @needs("read")
    async def get(self, name: str) -> None:
        target = self.get_query_argument("to", "")
        done = await export_environment(self.dlenv.environments(), name, target)
        self.send_json(done.to_json())


class SaveEnvironmentHandler(DlenvHandler):
    """The way to a new saving."""

    @needs("execute")
    async def post(self, name: str) -> None:
        body = self.read_json()
        image = body.pop("image", "")
        push, replace = body.pop("push", False), body.pop("replace", False)
        if not isinstance(image, str) or not 0 < len(image) <= _LONGEST_NAME:
            raise InvalidSpecError("A saving has an image, as REPOSITORY:TAG.")
        if not isinstance(push, bool) or not isinstance(replace, bool) or body:
            raise InvalidSpecError("Beside an image, a saving has push and replace: true or false.")
        save = self.dlenv.saves.start(validate_name(name), image, push=push, replace=replace)
        self.set_header("Location", url_path_join(self.base_url, API, "saves", save.id))
        self.send_json(save.to_json(), HTTPStatus.ACCEPTED)


class SavesHandler(DlenvHandler):
    """All savings."""

    @needs("read")
    async def get(self) -> None:
        self.send_json({"saves": [save.to_json() for save in self.dlenv.saves.list()]})


class SaveHandler(DlenvHandler):
    """One saving."""

    @needs("read")
    async def get(self, save_id: str) -> None:
        self.send_json(self.dlenv.saves.get(save_id).to_json())

    @needs("write")
    async def delete(self, save_id: str) -> None:
        self.send_json(self.dlenv.saves.cancel(save_id).to_json(), HTTPStatus.ACCEPTED)
