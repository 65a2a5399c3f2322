"""What a container must know of this machine's network to download packages through it."""

from __future__ import annotations

import ast
import asyncio
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import BuildFailedError
from .host_pip import run_pip

_PIP_SECONDS = 30.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_BUNDLE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Where distributions keep theirs, for a Python that was built elsewhere.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_INDEX_SETTINGS = ("index-url", "extra-index-url", "trusted-host")
_SCOPES = ("global", "download", ":env:")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """Settings of a container that downloads and is then thrown away.

    Attributes:
        ca_bundle: Certificates to believe, as PEM; empty if this machine has none.
        env: Proxies and package indexes.
    """

    ca_bundle: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)


async def download_settings() -> DownloadSettings:
    """Collect the settings of this machine."""
    try:
        configuration = await run_pip("config", "list", limit=_PIP_SECONDS)
    except BuildFailedError:
        # Without pip there is no configuration of it either.
        configuration = ""
    proxies = {
        name: os.environ[name]
        for lower in _PROXIES
        for name in (lower, lower.upper())
        if os.environ.get(name)
    }
    return DownloadSettings(
        ca_bundle=await asyncio.to_thread(_ca_bundle),
        env={**proxies, **index_settings(configuration)},
    )


def index_settings(configuration: str) -> dict[str, str]:
    """Return the index settings in the output of ``pip config list``, as variables.

    Addresses with a login in them stay on this machine, and those of files mean nothing
    elsewhere; what is only there is fetched by this machine's own pip.
    """
    settings: dict[str, str] = {}
    for line in configuration.splitlines():
        name, _, quoted = line.partition("=")
        scope, _, setting = name.partition(".")
        if scope not in _SCOPES or setting not in _INDEX_SETTINGS:
            continue
        try:
            words = str(ast.literal_eval(quoted)).split()
        except (ValueError, SyntaxError):
            continue
        kept = words if setting == "trusted-host" else list(_shareable(words))
        if kept:
            settings[f"PIP_{setting.replace('-', '_').upper()}"] = " ".join(kept)
    return settings


def _shareable(urls: list[str]) -> Iterator[str]:
    for url in urls:
        try:
            parts = urlsplit(url)
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and "@" not in parts.netloc:
            yield url


def _ca_bundle() -> bytes:
    named = [os.environ.get(name, "") for name in _BUNDLE_VARIABLES]
    for path in (*named, ssl.get_default_verify_paths().cafile, *_BUNDLES):
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return b""
