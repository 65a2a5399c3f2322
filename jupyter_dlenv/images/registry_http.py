"""HTTP to registries: this machine's proxies and certificates, limits, and harmless redirects."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from ..errors import ImageError, RegistryUnreachableError

#: One request and its answer, redirects included.
_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Where Docker engines keep the authorities of private registries.
_ENGINE_CERTIFICATES = Path("/etc/docker/certs.d")
_UNREACHABLE_HINT = (
    "Check the network, HTTPS_PROXY and the certificates (SSL_CERT_FILE) of this machine; "
    "images that are on the engine can be used without."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A complete answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RegistryHttp:
    """Connections to one registry, and to wherever it sends us."""

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def ask(
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Get an address, or post a form to it.

        Args:
            limit: Bytes of the largest answer that is believed.

        Raises:
            RegistryUnreachableError: There is no connection, or no answer in time.
            ImageError: The answer is too large, or leads astray.
        """
        try:
            return await asyncio.wait_for(
                self._ask(url, limit, dict(headers or {}), form), _SECONDS
            )
        except (httpx.TransportError, asyncio.TimeoutError, OSError) as error:
            raise RegistryUnreachableError(
                f"{self._registry} cannot be reached from here.",
                hint=_UNREACHABLE_HINT,
                detail=str(error) or f"No answer within {_SECONDS:.0f} s.",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _astray(self._registry, str(error)) from error

    async def _ask(
        self, url: str, limit: int, headers: dict[str, str], form: Mapping[str, str] | None
    ) -> HttpAnswer:
        client = await self._open()
        for _ in range(_MOST_REDIRECTS):
            method = "GET" if form is None else "POST"
            async with client.stream(method, url, headers=headers, data=form) as response:
                target = response.headers.get("location", "")
                if response.status_code not in _REDIRECTS or not target:
                    return HttpAnswer(
                        status=response.status_code,
                        headers={k.lower(): v for k, v in response.headers.items()},
                        body=await self._body(response, limit),
                    )
            following = urljoin(url, target)
            if form is not None or not _is_harmless(url, following):
                raise _astray(self._registry, f"Redirected to {urlsplit(following).netloc[:200]}.")
            if _origin(url) != _origin(following):
                # A registry's storage has a signature in its address, and no business with
                # our login.
                headers.pop("Authorization", None)
            url = following
        raise _astray(self._registry, "Redirected too often.")

    async def _body(self, response: httpx.Response, limit: int) -> bytes:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > limit:
                raise _astray(self._registry, f"An answer is larger than {limit} bytes.")
        return bytes(body)

    async def _open(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                # Reading all certificates takes a while.
                context = await asyncio.to_thread(_context, self._registry)
                self._client = httpx.AsyncClient(
                    verify=context,
                    # Nobody means the proxy to be asked for this machine itself.
                    trust_env=not is_loopback(self._registry),
                    timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
                    headers={"User-Agent": "jupyter_dlenv"},
                )
            return self._client


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine, where Docker too speaks plain HTTP."""
    host = urlsplit(f"//{registry}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_harmless(before: str, after: str) -> bool:
    old, new = urlsplit(before), urlsplit(after)
    return new.scheme in ("https", old.scheme) and bool(new.hostname) and "@" not in new.netloc


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _context(registry: str) -> ssl.SSLContext:
    named = (os.environ.get(name, "") for name in _BUNDLE_VARIABLES)
    bundle = next((path for path in named if path and Path(path).is_file()), None)
    context = ssl.create_default_context(cafile=bundle)
    if bundle is None and not context.cert_store_stats()["x509_ca"]:
        # A Python that was built elsewhere does not know where this system's are.
        context = httpx.create_ssl_context()
    own = _ENGINE_CERTIFICATES / registry / "ca.crt"
    if own.is_file() and os.access(own, os.R_OK):
        context.load_verify_locations(own)
    return context


def _astray(registry: str, detail: str) -> ImageError:
    return ImageError(
        f"What {registry} answered cannot be used.",
        hint="Check the address of the registry, and the proxy between.",
        detail=detail,
    )
