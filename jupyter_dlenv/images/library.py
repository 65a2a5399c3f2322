"""All images that one can choose from, on the engine and at registries, and what each would mean.

Nothing here depends on the network: what a registry does not tell in a few seconds is missing,
with the reason.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engines.base import (
    Engine,
    EngineFacts,
    ImageFacts,
    ReportTransfer,
    SupportsImages,
    TransferProgress,
)
from ..errors import (
    CapabilityMissingError,
    DiskFullError,
    DlenvError,
    ImageError,
    ImageNotFoundError,
    RegistryUnreachableError,
)
from ..labels import RECIPE
from ..policy import Policy
from .catalogue import Catalogue, CatalogueEntry
from .fit import Host, Needs, works
from .offers import Listing, Offer, TagList
from .prepare import ImageEngine
from .pulls import Pulls
from .reference import ImageReference
from .remote import RemoteImage
from .sheet import Sheet, write_sheet
from .tags import newest_first, newest_that, plainest, variant

if TYPE_CHECKING:
    from .registry import Registry

_T = TypeVar("_T")

#: For which people wait without being told anything.
_ASK_SECONDS = 8.0
_SEARCH_SECONDS = 20.0
#: Tags of a repository change once a month.
_TAGS_FRESH_SECONDS = 600.0
#: What was away a moment ago is not waited for once more.
_AWAY_SECONDS = 5.0
#: Registries count what they are asked for.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Answer(Generic[_T]):
    """What a registry told, or why it did not."""

    value: _T | None = None
    error: ImageError | None = None

    @property
    def problem(self) -> str:
        return f"{self.error} {self.error.hint}".strip() if self.error else ""


class ImageLibrary:
    """The images of one engine, and of the registries that it can be given images from.

    Where the engine has no images, all but ``listing`` and ``resolve`` raise
    ``CapabilityMissingError``.

    Args:
        read_host: Tells of the processor, driver and GPUs of the engine's host.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        policy: Policy,
        read_host: Callable[[EngineFacts], Awaitable[Host]],
        catalogue: Catalogue | None = None,
    ) -> None:
        self.catalogue = catalogue or Catalogue.load()
        self._any_engine = engine
        self._read_host = read_host
        self._policy = policy
        self._pulls = Pulls(lambda image, report: self._engine.pull(image, report))
        self._registries: dict[str, Registry] = {}
        #: By repository: the tags, and when they were asked for.
        self._tags: dict[str, tuple[float, tuple[str, ...]]] = {}
        #: By host: when a registry was last found to be away, and how.
        self._away: dict[str, tuple[float, RegistryUnreachableError]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def aclose(self) -> None:
        """Let go of the connections to registries."""
        registries, self._registries = tuple(self._registries.values()), {}
        for registry in registries:
            await registry.aclose()

    async def listing(self, *, live: bool = False) -> Listing:
        """Return what the engine has, and what is recommended.

        Args:
            live: Ask the registry for the tags too, which takes some seconds.
        """
        if not isinstance(self._any_engine, SupportsImages):
            return Listing(registry=self.catalogue.registry)
        images = await self._engine.list_images()
        # Images that we derived are what others become when launched: nobody chooses them.
        chosen = tuple(i for i in images if not i.labels.get(RECIPE))
        offers = tuple(self._offer(entry, chosen) for entry in self.catalogue.entries)
        if live:
            offers = tuple(await asyncio.gather(*map(self._with_tags, offers)))
        return Listing(registry=self.catalogue.registry, images=chosen, offers=offers)

    async def tags(self, repository: str) -> TagList:
        """Return the tags of a repository, or of a recommended image, the newest first.

        Raises:
            InvalidSpecError: It is no repository.
            ImageNotFoundError: Neither the registry nor the engine has it.
        """
        reference = ImageReference.parse(self.catalogue.expand(repository))
        ready = _tags_of(await self._engine.list_images(), reference)
        answer = await self._asked(self._live_tags(reference))
        if isinstance(answer.error, ImageNotFoundError) and not ready:
            raise answer.error
        entry = self.catalogue.entry_of(reference)
        tags = newest_first(answer.value or (), pattern=entry.tags if entry else "")
        return TagList(
            repository=str(replace(reference, tag="", digest="")),
            tags=tags or ready,
            ready=ready,
            problem=answer.problem,
        )

    async def resolve(self, image: str) -> str:
        """Return the reference that a user means by what may be the name of a recommended image.

        ``pytorch`` is the newest of its tags that works on the engine's host, and without
        network the newest that the engine has.  An image of just that name on the engine is
        meant first.

        Raises:
            ImageError: A tag is needed, and neither registry nor engine has one.
        """
        name, colon, _ = image.partition(":")
        entry = self.catalogue.find(name)
        has_images = isinstance(self._any_engine, SupportsImages)
        if not has_images or entry is None or await self._local(image) is not None:
            return image
        return self.catalogue.expand(image) if colon else await self._newest(entry)

    async def sheet(self, image: str) -> Sheet:
        """Return what one should know before an image is fetched.

        Raises:
            InvalidSpecError: It is no image reference.
            ImageNotFoundError: Neither the engine nor the registry has it.
        """
        reference = ImageReference.parse(await self.resolve(image))
        facts = await self._engine.probe()
        local, chains, host, answer, free = await asyncio.gather(
            self._local(str(reference)),
            self._engine.image_layers(),
            self._read_host(facts),
            self._asked(self._remote(reference, facts)),
            asyncio.to_thread(_free_disk, facts),
        )
        if isinstance(answer.error, ImageNotFoundError) and local is None:
            raise answer.error
        entry = self.catalogue.entry_of(reference)
        sheet = write_sheet(
            reference,
            local=local,
            remote=answer.value,
            chains=chains,
            host=host,
            free_disk=free,
            licence=self.catalogue.licence_of(reference),
            notes=entry.notes if entry else "",
            problem=answer.problem,
        )
        if not sheet.wants_another_tag or answer.value is None:
            return sheet
        better = await self._asked(self._better_tag(reference, facts, host), _SEARCH_SECONDS)
        return replace(sheet, suggestion=better.value or "")

    async def fetch(
        self, image: str, report: ReportTransfer, *, sheet: Sheet | None = None
    ) -> ImageFacts:
        """Fetch an image, together with all who want it, after saying what speaks against it.

        Args:
            image: A reference, or the name of a recommended image.
            sheet: Of this image, if the caller has it.

        Raises:
            NotAllowedError: By the administrator's policy.
            DiskFullError: What would be fetched is more than the engine's disk has left.
            ImageNotFoundError, RegistryRefusedError, RegistryUnreachableError
        """
        reference = str(ImageReference.parse(await self.resolve(image)))
        self._policy.check_image(reference)
        report(TransferProgress(message=f"Asking the registry about {reference}"))
        if sheet is None:
            # The engine may know its registries otherwise than we do: it has the last word.
            with suppress(ImageError):
                sheet = await self.sheet(reference)
        if sheet is not None and (full := sheet.disk_error):
            raise DiskFullError(f"There is no room for {reference}.", detail=full)
        warnings = sheet.warnings if sheet else ()

        def told(progress: TransferProgress) -> None:
            report(replace(progress, warnings=warnings))

        told(TransferProgress(message=f"Fetching {reference}"))
        return await self._pulls.pull(reference, told, expected=sheet.missing if sheet else ())

    @property
    def _engine(self) -> ImageEngine:
        if not isinstance(self._any_engine, SupportsImages):
            raise CapabilityMissingError(
                f"The engine {self._any_engine.name!r} has no images: it runs plain processes."
            )
        return self._any_engine

    async def _newest(self, entry: CatalogueEntry) -> str:
        repository = self.catalogue.repository(entry)
        reference = ImageReference.parse(repository)
        facts = await self._engine.probe()
        host = await self._read_host(facts)
        search = self._search(reference, facts, host, entry.tags)
        answer = await self._asked(search, _SEARCH_SECONDS)
        if answer.value:
            return answer.value
        ready = _tags_of(await self._engine.list_images(), reference, pattern=entry.tags)
        if ready:
            return f"{repository}:{plainest(ready)[0]}"
        raise answer.error or ImageNotFoundError(
            f"No tag of {repository} works on this machine.",
            hint=f"See `jupyter dlenv images --tags {entry.name}`, and name one of them.",
        )

    async def _search(
        self, reference: ImageReference, facts: EngineFacts, host: Host, pattern: str
    ) -> str:
        tags = newest_first(await self._live_tags(reference), pattern=pattern)
        return await self._newest_fit(reference, plainest(tags), facts, host)

    async def _better_tag(self, reference: ImageReference, facts: EngineFacts, host: Host) -> str:
        tags = newest_first(await self._live_tags(reference))
        alike = [t for t in tags if variant(t) == variant(reference.tag) and t != reference.tag]
        return await self._newest_fit(reference, alike, facts, host)

    async def _newest_fit(
        self, reference: ImageReference, tags: Iterable[str], facts: EngineFacts, host: Host
    ) -> str:
        named = [str(replace(reference, tag=tag, digest="")) for tag in tags]

        async def fits(name: str) -> bool:
            try:
                image = await self._remote(ImageReference.parse(name), facts)
            except ImageNotFoundError:
                # Listed, but not there (any more).
                return False
            return works(Needs.of(image.env, image.architectures), host)

        return await newest_that(fits, [name for name in named if self._policy.allows_image(name)])

    def _offer(self, entry: CatalogueEntry, images: tuple[ImageFacts, ...]) -> Offer:
        repository = self.catalogue.repository(entry)
        ready = _tags_of(images, ImageReference.parse(repository))
        return Offer(entry=entry, repository=repository, ready=ready)

    async def _with_tags(self, offer: Offer) -> Offer:
        answer = await self._asked(self._live_tags(ImageReference.parse(offer.repository)))
        if answer.value is None:
            return replace(offer, problem=answer.problem)
        return replace(offer, tags=newest_first(answer.value, pattern=offer.entry.tags))

    async def _local(self, image: str) -> ImageFacts | None:
        try:
            return await self._engine.inspect_image(image)
        except ImageNotFoundError:
            return None

    async def _live_tags(self, reference: ImageReference) -> tuple[str, ...]:
        key = f"{reference.registry}/{reference.repository}"
        now = asyncio.get_running_loop().time()
        asked, tags = self._tags.get(key, (0.0, ()))
        if not tags or now - asked > _TAGS_FRESH_SECONDS:
            registry = self._registry(reference)
            tags = await self._ask(registry, lambda: registry.tags(reference.repository))
            self._tags[key] = (now, tags)
        return tags

    async def _remote(self, reference: ImageReference, facts: EngineFacts) -> RemoteImage:
        registry = self._registry(reference)
        return await self._ask(registry, lambda: registry.image(reference, facts.architecture))

    async def _ask(self, registry: Registry, question: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        async with self._places:
            clock = asyncio.get_running_loop().time
            since, error = self._away.get(registry.host, (0.0, None))
            if error is not None and clock() - since < _AWAY_SECONDS:
                raise RegistryUnreachableError(str(error), hint=error.hint, detail=error.detail)
            try:
                return await question()
            except RegistryUnreachableError as unreachable:
                self._away[registry.host] = (clock(), unreachable)
                raise

    def _registry(self, reference: ImageReference) -> Registry:
        host = reference.registry
        if host not in self._registries:
            # Imported here: most of what is done with images on the engine needs no HTTP client.
            from .registry import Registry  # noqa: PLC0415

            self._registries[host] = Registry(host)
        return self._registries[host]

    async def _asked(
        self, question: Coroutine[Any, Any, _T], seconds: float = _ASK_SECONDS
    ) -> _Answer[_T]:
        try:
            return _Answer(value=await asyncio.wait_for(question, seconds))
        except ImageError as error:
            return _Answer(error=error)
        except asyncio.TimeoutError:
            silent = RegistryUnreachableError(
                f"The registry did not answer within {seconds:.0f} s.",
                hint="Images that the engine has can be used without.",
            )
            return _Answer(error=silent)


def _tags_of(
    images: Iterable[ImageFacts], reference: ImageReference, *, pattern: str = ""
) -> tuple[str, ...]:
    """Return the tags of a repository that the engine has, the newest first."""
    found = []
    for image in images:
        for name in image.tags:
            try:
                other = ImageReference.parse(name)
            except DlenvError:
                # Engines have names that nobody could type: "<none>:<none>".
                continue
            if (other.registry, other.repository) == (reference.registry, reference.repository):
                found.append(other.tag)
    return newest_first(found, pattern=pattern)


def _free_disk(facts: EngineFacts) -> int | None:
    """Return the bytes that are left for images, if the engine's disk is one of this machine."""
    if not (facts.local and facts.data_root):
        return None
    try:
        return shutil.disk_usage(facts.data_root).free
    except OSError:
        # Of a rootless engine, or of one outside of the container that Jupyter is in.
        return None
