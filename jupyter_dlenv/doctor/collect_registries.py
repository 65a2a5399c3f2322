"""Facts of registries: whether they answer this machine, and whether they let strangers in."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from .facts import RegistryReport
from .patience import in_thread

#: The registries that images of deep-learning frameworks come from.
REGISTRIES = ("nvcr.io", "docker.io")
_SECONDS = 6.0
_MOST = 6
_LONGEST_ANSWER = 256 * 1024
#: A token is for a repository: one that everybody may pull.
_PUBLIC = {"nvcr.io": "nvidia/cuda", "docker.io": "library/python"}
_API_HOSTS = {"docker.io": "registry-1.docker.io"}
_DOCKER_HUB = re.compile(r"(?:https?://)?(?:index\.|registry-1\.)?docker\.io(?:/.*)?\Z")
_ATTEMPTS = 3


async def registry_reports(registries: tuple[str, ...]) -> tuple[RegistryReport, ...]:
    """Ask registries, and those that a login is saved for, as somebody without a login."""
    saved = await in_thread(_saved_logins)
    hosts = list(dict.fromkeys((*registries, *saved)))[:_MOST]
    return tuple(await asyncio.gather(*(_report(host, host in saved) for host in hosts)))


async def _report(host: str, login: bool) -> RegistryReport:
    try:
        state, detail = await asyncio.wait_for(in_thread(lambda: _ask(host)), _SECONDS * 2)
    except asyncio.TimeoutError:
        state, detail = "unreachable", "It does not answer in time."
    return RegistryReport(host=host, state=state, login=login, detail=detail)


def _ask(host: str) -> tuple[str, str]:
    """Return the state of a registry, and the reason."""
    url = f"{_scheme(host)}://{_API_HOSTS.get(host, host)}/v2/"
    try:
        status, headers, _ = _get(url)
        if status == 200:
            return "open", ""
        if status != 401:
            return "odd", f"GET {url} is answered with {status}."
        return _ask_for_token(host, headers.get("www-authenticate", ""))
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        state = "tls" if isinstance(reason, ssl.SSLError) else "unreachable"
        return state, str(reason)


def _ask_for_token(host: str, challenge: str) -> tuple[str, str]:
    parameters = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = parameters.get("realm", "")
    if not challenge.lower().startswith("bearer"):
        return ("login", "") if challenge else ("odd", "It answers 401 without a challenge.")
    # Who answers may send us anywhere; only to where a token could be.
    if urlsplit(realm).scheme not in ("https", _scheme(host)):
        return "odd", f"Tokens are said to be at {realm[:100]!r}."
    wanted = {k: v for k, v in parameters.items() if k == "service"}
    if host in _PUBLIC:
        wanted["scope"] = f"repository:{_PUBLIC[host]}:pull"
    said = ""
    # NVIDIA's now and then refuses a token that it gives the next time.
    for _ in range(_ATTEMPTS):
        status, _, body = _get(f"{realm}?{urlencode(wanted)}")
        if status == 200 and _has_token(body):
            return "open", ""
        said = f"A token for strangers is answered with {status}."
    return "login", said


def _has_token(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and bool(answer.get("token") or answer.get("access_token"))


def _get(url: str) -> tuple[int, Mapping[str, str], bytes]:
    request = urllib.request.Request(url, headers={"User-Agent": "jupyter_dlenv"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return answer.status, _lower(answer.headers), answer.read(_LONGEST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers), b""


def _lower(headers: Any) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}


def _scheme(host: str) -> str:
    """Return what Docker speaks to a host: only with this machine, it does without TLS."""
    name = urlsplit(f"//{host}").hostname or ""
    return "http" if name == "localhost" or name.startswith("127.") else "https"


def _saved_logins() -> tuple[str, ...]:
    """Return the registries that ``docker login`` has saved a login for."""
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    try:
        saved = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    hosts = []
    for key in ("auths", "credHelpers"):
        entries = saved.get(key) if isinstance(saved, dict) else None
        hosts += [str(host) for host in entries] if isinstance(entries, dict) else []
    return tuple(dict.fromkeys(filter(None, map(_host, hosts))))


def _host(text: str) -> str:
    if _DOCKER_HUB.match(text):
        return "docker.io"
    host = urlsplit(text if "://" in text else f"//{text}").netloc
    return host if re.match(r"[A-Za-z0-9.-]+(?::\d{1,5})?\Z", host) else ""
