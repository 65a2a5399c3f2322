"""What a registry has: the tags of a repository, and what is in an image before it is pulled."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..docker_credentials import Credentials, find_credentials
from ..errors import ImageError, ImageNotFoundError, RegistryRefusedError, RegistryUnreachableError
from .reference import ImageReference
from .registry_auth import Challenge, Token, fetch_token
from .registry_http import HttpAnswer, RegistryHttp, is_loopback
from .remote import (
    ACCEPT,
    Manifest,
    RemoteImage,
    digest_of,
    read_config,
    read_index,
    read_manifest,
    read_tags,
)

_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_LARGEST_MANIFEST = 4 * 1024**2
_LARGEST_CONFIG = 16 * 1024**2
_LARGEST_TAG_PAGE = 8 * 1024**2
_MOST_TAG_PAGES = 20
#: Pauses before trying again: tokens of strangers are refused now and then, and are good a
#: moment later.
_PAUSES = (0.3, 1.0)
#: Whoever has waited so long is told instead.
_PATIENCE_SECONDS = 10.0
_NEXT_PAGE = re.compile(r'<([^<>\s]+)>\s*;\s*rel="?next"?')

FindCredentials = Callable[[str], Coroutine[Any, Any, Credentials | None]]


class Registry:
    """One registry, as the user sees it; tokens are kept while it is open.

    Args:
        host: As in an image reference: ``nvcr.io``, ``docker.io``, ``127.0.0.1:5000``.
    """

    def __init__(self, host: str, *, credentials: FindCredentials = find_credentials) -> None:
        self.host = host
        self._http = RegistryHttp(host)
        self._credentials = credentials
        self._found: asyncio.Task[Credentials | None] | None = None
        self._tokens: dict[str, Token] = {}
        scheme = "http" if is_loopback(host) else "https"
        self._base = f"{scheme}://{_HUB_HOST if host == _HUB else host}"

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of connections, and of a helper that is still asking."""
        if self._found is not None:
            self._found.cancel()
            await asyncio.wait([self._found])
        await self._http.aclose()

    async def tags(self, repository: str) -> tuple[str, ...]:
        """Return all tags of a repository, in the registry's own order.

        Raises:
            ImageNotFoundError: There is no such repository.
            RegistryRefusedError, RegistryUnreachableError, ImageError
        """
        found: dict[str, None] = {}
        path = f"/v2/{repository}/tags/list"
        for _ in range(_MOST_TAG_PAGES):
            answer = await self._get(repository, path, limit=_LARGEST_TAG_PAGE)
            found.update(dict.fromkeys(read_tags(answer.body)))
            following = _NEXT_PAGE.search(answer.headers.get("link", ""))
            if following is None:
                break
            # Only the path: the next page is on this registry, whatever it says.
            parts = urlsplit(urljoin(f"{self._base}{path}", following[1]))
            path = f"{parts.path}?{parts.query}"
        return tuple(found)

    async def manifest(self, reference: ImageReference, architecture: str) -> Manifest:
        """Return which parts an image has, for an engine's architecture (``x86_64``).

        Raises:
            ImageNotFoundError: There is no such tag.
            RegistryRefusedError, RegistryUnreachableError, ImageError
        """
        path = f"/v2/{reference.repository}/manifests/"
        body = await self._manifest(reference, path, reference.digest or reference.tag)
        digest = digest_of(body)
        index = read_index(body, architecture)
        if index is None:
            return read_manifest(body, digest=digest, architectures=())
        chosen, architectures = index
        body = await self._manifest(reference, path, chosen)
        return read_manifest(body, digest=digest, architectures=architectures)

    async def image(self, reference: ImageReference, architecture: str) -> RemoteImage:
        """Return what there is to know of an image without pulling it.

        Raises:
            ImageNotFoundError: There is no such tag.
            RegistryRefusedError, RegistryUnreachableError, ImageError
        """
        manifest = await self.manifest(reference, architecture)
        path = f"/v2/{reference.repository}/blobs/{manifest.config.digest}"
        answer = await self._get(reference.repository, path, limit=_LARGEST_CONFIG)
        return read_config(answer.body, reference=reference, manifest=manifest)

    async def _manifest(self, reference: ImageReference, path: str, name: str) -> bytes:
        answer = await self._get(
            reference.repository, f"{path}{name}", limit=_LARGEST_MANIFEST, accept=ACCEPT
        )
        if name.startswith("sha256:") and digest_of(answer.body) != name:
            raise ImageError(
                f"{self.host} answered with another image than {reference}.",
                hint="Check the proxy between this machine and the registry.",
            )
        return answer.body

    async def _get(
        self, repository: str, path: str, *, limit: int, accept: str = "application/json"
    ) -> HttpAnswer:
        began = time.monotonic()
        login = await self._login()
        refusal: ImageError | None = None
        for pause in (*_PAUSES, None):
            # A login that is no longer good makes even public images fail.
            for credentials in dict.fromkeys((login, None)):
                try:
                    return await self._once(repository, path, limit, accept, credentials)
                except (RegistryRefusedError, RegistryUnreachableError) as error:
                    # What the login met says more than what a stranger meets.
                    refusal = refusal or error
            if pause is None or time.monotonic() - began > _PATIENCE_SECONDS:
                break
            await asyncio.sleep(pause)
        raise refusal or RegistryUnreachableError(f"{self.host} does not answer.")

    async def _once(
        self,
        repository: str,
        path: str,
        limit: int,
        accept: str,
        credentials: Credentials | None,
    ) -> HttpAnswer:
        url = f"{self._base}{path}"
        headers = {"Accept": accept}
        token = self._tokens.get(repository)
        if token is not None and token.is_fresh:
            headers["Authorization"] = token.authorization
        answer = await self._http.ask(url, limit=limit, headers=headers)
        if answer.status == 401:
            self._tokens.pop(repository, None)
            challenge = Challenge.parse(answer.headers.get("www-authenticate", ""))
            authorization = await self._authorization(challenge, repository, credentials)
            if authorization:
                headers["Authorization"] = authorization
                answer = await self._http.ask(url, limit=limit, headers=headers)
        if answer.status != 200:
            self._tokens.pop(repository, None)
            raise self._refusal(answer, repository, path)
        return answer

    async def _authorization(
        self, challenge: Challenge, repository: str, credentials: Credentials | None
    ) -> str:
        if challenge.scheme == "basic":
            return credentials.basic() if credentials else ""
        if challenge.scheme != "bearer":
            return ""
        token = await fetch_token(
            self._http,
            challenge,
            registry=self.host,
            repository=repository,
            credentials=credentials,
        )
        self._tokens[repository] = token
        return token.authorization

    async def _login(self) -> Credentials | None:
        if self._found is None:
            # Asked for once: a helper may want the user to type something.
            self._found = asyncio.create_task(self._credentials(self.host))
        return await asyncio.shield(self._found)

    def _refusal(self, answer: HttpAnswer, repository: str, path: str) -> ImageError:
        name = path.rpartition("/")[2]
        what = f"{repository} {name}" if "/tags/" not in path else repository
        # Not the text of the answer: it may be a page of HTML by anybody.
        detail = f"HTTP status {answer.status}"
        if answer.status == 404:
            return ImageNotFoundError(f"{self.host} does not have {what}.", detail=detail)
        if answer.status in (401, 403):
            return RegistryRefusedError(f"{self.host} refuses to give {what}.", detail=detail)
        if answer.status == 429:
            return RegistryRefusedError(
                f"{self.host} was asked too often.", hint="Try again in a minute.", detail=detail
            )
        return RegistryUnreachableError(
            f"{self.host} does not work now.", hint="Try again in a minute.", detail=detail
        )
