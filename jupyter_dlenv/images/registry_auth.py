"""How a registry is persuaded: its challenge, a token for pulling, the user's login or none."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..docker_credentials import Credentials
from ..errors import ImageError, RegistryRefusedError, RegistryUnreachableError
from .registry_http import RegistryHttp, is_loopback

_LARGEST_ANSWER = 256 * 1024
_TOKEN = re.compile(r"[!-~]{1,65536}\Z")
#: What a token server need not say, by the registries' own documentation.
_DEFAULT_SECONDS = 60
#: A token that has so little left is not begun with.
_MARGIN_SECONDS = 10
_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a registry wants: ``scheme`` is ``bearer`` or ``basic``, in lower case."""

    scheme: str
    realm: str = ""
    service: str = ""

    @classmethod
    def parse(cls, header: str) -> Challenge:
        """Read ``WWW-Authenticate``; the scope in it is not taken over.

        Some registries name more than pulling there, and then refuse it to strangers.
        """
        scheme, _, rest = header.strip().partition(" ")
        parameters = {m[1].lower(): m[2] or m[3] or "" for m in _PARAMETER.finditer(rest)}
        return cls(
            scheme=scheme.lower(),
            realm=parameters.get("realm", ""),
            service=parameters.get("service", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A right to pull from one repository, for a few minutes."""

    value: str
    expires: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.expires - _MARGIN_SECONDS

    @property
    def authorization(self) -> str:
        return f"Bearer {self.value}"


async def fetch_token(
    http: RegistryHttp,
    challenge: Challenge,
    *,
    registry: str,
    repository: str,
    credentials: Credentials | None,
) -> Token:
    """Ask the token server for the right to pull, as the user or as a stranger.

    Raises:
        RegistryRefusedError: It does not give one.
        RegistryUnreachableError, ImageError
    """
    _check_realm(challenge.realm, registry)
    wanted = {"scope": f"repository:{repository}:pull"}
    if challenge.service:
        wanted["service"] = challenge.service
    headers: dict[str, str] = {}
    form: Mapping[str, str] | None = None
    url = challenge.realm
    if credentials is not None and credentials.identity_token:
        form = {
            **wanted,
            "grant_type": "refresh_token",
            "client_id": "jupyter_dlenv",
            "refresh_token": credentials.identity_token,
        }
    else:
        if credentials is not None:
            headers["Authorization"] = credentials.basic()
            wanted["account"] = credentials.user
        url += f"{'&' if '?' in url else '?'}{urlencode(wanted)}"
    began = time.monotonic()
    answer = await http.ask(url, limit=_LARGEST_ANSWER, headers=headers, form=form)
    if answer.status >= 500 or answer.status == 429:
        raise RegistryUnreachableError(
            f"The token server of {registry} does not work now.",
            hint="Try again in a minute.",
            detail=f"HTTP status {answer.status}",
        )
    if answer.status != 200:
        raise RegistryRefusedError(
            f"{registry} does not let {'you' if credentials else 'strangers'} pull {repository}.",
            detail=f"HTTP status {answer.status} from its token server",
        )
    return _read_token(answer.body, began)


def _check_realm(realm: str, registry: str) -> None:
    parts = urlsplit(realm)
    # The login goes there: in the clear only where the registry itself speaks so.
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(registry))
    if not secure or not parts.hostname or "@" in parts.netloc:
        raise ImageError(
            f"{registry} wants a login at an address that is not safe.",
            hint="Ask those who run the registry.",
            detail=realm[:200],
        )


def _read_token(body: bytes, began: float) -> Token:
    try:
        data: Any = json.loads(body)
        value = data.get("token") or data.get("access_token")
        seconds = data.get("expires_in") or _DEFAULT_SECONDS
    except (ValueError, AttributeError, RecursionError) as error:
        raise _no_token() from error
    if not isinstance(value, str) or not _TOKEN.match(value):
        raise _no_token()
    if not isinstance(seconds, (int, float)):
        seconds = _DEFAULT_SECONDS
    return Token(value=value, expires=began + max(_DEFAULT_SECONDS, float(seconds)))


def _no_token() -> ImageError:
    return ImageError(
        "The token server of the registry gave no token.", hint="Try again in a minute."
    )
