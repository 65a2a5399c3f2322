"""The routes about images: what there is, what one should know of it, and fetching it."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.utils import url_path_join

from ..errors import InvalidSpecError
from ..images.offers import write_image
from .base import API, DlenvHandler, needs

_LONGEST_NAME = 500


class ImagesHandler(DlenvHandler):
    """The images of the engine."""

    @needs("read")
    async def get(self) -> None:
        listing = await self.dlenv.environments().library.listing()
        self.send_json({"images": [write_image(image) for image in listing.images]})


class CatalogueHandler(DlenvHandler):
    """The images that are recommended."""

    @needs("read")
    async def get(self) -> None:
        live = self.read_number("live", 0) != 0
        listing = await self.dlenv.environments().library.listing(live=live)
        written = listing.to_json()
        del written["images"]  # have a route of their own
        self.send_json(written)


class TagsHandler(DlenvHandler):
    """The tags of one repository."""

    @needs("read")
    async def get(self) -> None:
        repository = _checked(self.get_query_argument("repository", ""), "repository")
        self.send_json((await self.dlenv.environments().library.tags(repository)).to_json())


class SheetHandler(DlenvHandler):
    """What to know of an image before it is fetched."""

    @needs("read")
    async def get(self) -> None:
        image = _checked(self.get_query_argument("image", ""), "image")
        self.send_json((await self.dlenv.environments().library.sheet(image)).to_json())


class PullsHandler(DlenvHandler):
    """All pulls, and the way to a new one."""

    @needs("read")
    async def get(self) -> None:
        self.send_json({"pulls": [pull.to_json() for pull in self.dlenv.pulls.list()]})

    @needs("execute")
    async def post(self) -> None:
        body = self.read_json()
        image = body.pop("image", "")
        if not isinstance(image, str) or body:
            raise InvalidSpecError("A pull has an image, and nothing else.")
        pull = self.dlenv.pulls.start(_checked(image, "image"))
        self.set_header("Location", url_path_join(self.base_url, API, "pulls", pull.id))
        self.send_json(pull.to_json(), HTTPStatus.ACCEPTED)


class PullHandler(DlenvHandler):
    """One pull."""

    @needs("read")
    async def get(self, pull_id: str) -> None:
        self.send_json(self.dlenv.pulls.get(pull_id).to_json())

    @needs("write")
    async def delete(self, pull_id: str) -> None:
        self.send_json(self.dlenv.pulls.cancel(pull_id).to_json(), HTTPStatus.ACCEPTED)


def _checked(name: str, argument: str) -> str:
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidSpecError(f"{argument} is missing, or too long.")
    return name
