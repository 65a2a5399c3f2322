"""Where ``docker login`` keeps the user's logins: Docker's config.json and its credential helpers.

Engines need them for pulls, and we ourselves to ask registries; so this lies below both.
Standard library only.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

#: A helper may ask a key ring, which may ask the user, who may not be there.
_HELPER_SECONDS = 10.0
_ENDED_SECONDS = 1.0
_LARGEST_FILE = 4 * 1024**2
_LARGEST_ANSWER = 64 * 1024
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
#: What helpers say as the user name when the secret is an identity token.
_TOKEN_USER = "<token>"  # noqa: S105 - a word of the protocol
_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One login; the secrets are not shown by ``repr``.

    Attributes:
        identity_token: Given out by some registries in the place of a password.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def for_engine(self, registry: str) -> str:
        """Return the value of the header ``X-Registry-Auth``."""
        server = _HUB_KEY if registry == _HUB else registry
        login = {"serveraddress": server}
        if self.identity_token:
            login["identitytoken"] = self.identity_token
        else:
            login |= {"username": self.user, "password": self.password}
        return base64.urlsafe_b64encode(json.dumps(login).encode()).decode("ascii")

    def basic(self) -> str:
        """Return the value of an ``Authorization`` header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


async def find_credentials(
    registry: str, environ: Mapping[str, str] | None = None
) -> Credentials | None:
    """Return the user's login for a registry, as ``docker pull`` would find it.

    A file that cannot be read and a helper that fails or is silent mean that there is none.

    Args:
        registry: The host of an image reference, such as ``nvcr.io`` or ``docker.io``.
    """
    environ = os.environ if environ is None else environ
    config = await asyncio.to_thread(_read_config, environ)
    helpers = _mapping(config.get("credHelpers"))
    for key in _keys(registry):
        if key in helpers:
            return await _ask_helper(helpers[key], key)
    if store := config.get("credsStore"):
        for key in _keys(registry):
            if found := await _ask_helper(store, key):
                return found
    auths = _mapping(config.get("auths"))
    wanted = _keys(registry)
    for key, entry in auths.items():
        if key in wanted or _host(key) in wanted:
            found = _from_entry(_mapping(entry))
            if found is not None:
                return found
    return None


def _read_config(environ: Mapping[str, str]) -> Mapping[str, Any]:
    directory = environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "~", ".docker")
    path = Path(directory).expanduser() / "config.json"
    try:
        with path.open("rb") as file:
            return _mapping(json.loads(file.read(_LARGEST_FILE)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("Docker's %s cannot be used: %s", path, type(error).__name__)
        return {}


def _keys(registry: str) -> tuple[str, ...]:
    # Docker's own hub is kept under the address that it had ten years ago.
    return (_HUB_KEY, f"index.{_HUB}", _HUB) if registry == _HUB else (registry,)


def _host(key: str) -> str:
    return re.sub(r"\Ahttps?://", "", key).partition("/")[0]


def _from_entry(entry: Mapping[str, Any]) -> Credentials | None:
    token = _text(entry.get("identitytoken"))
    user, password = _text(entry.get("username")), _text(entry.get("password"))
    if auth := _text(entry.get("auth")):
        with suppress(binascii.Error, ValueError):
            decoded = base64.b64decode(auth.encode()).decode()
            user, _, password = decoded.partition(":")
            # Old versions of Docker pad with zero bytes.
            password = password.rstrip("\0")
    if not (token or (user and password)):
        return None
    return Credentials(user=user, password=password, identity_token=token)


async def _ask_helper(name: Any, key: str) -> Credentials | None:
    """Ask ``docker-credential-NAME`` for the login that it keeps under a key."""
    if not isinstance(name, str) or not _HELPER_NAME.match(name):
        return None
    program = await asyncio.to_thread(shutil.which, f"docker-credential-{name}")
    if program is None:
        _log.warning("Docker's config.json names %s, which is not installed", name)
        return None
    try:
        output = await asyncio.wait_for(_run(program, key), _HELPER_SECONDS)
        answer = _mapping(json.loads(output))
    except asyncio.TimeoutError:
        _log.warning("%s did not answer within %.0f s", program, _HELPER_SECONDS)
        return None
    except (OSError, ValueError, RecursionError):
        # Not to have a login is a failure to a helper, and the usual case.
        return None
    user, secret = _text(answer.get("Username")), _text(answer.get("Secret"))
    if not secret:
        return None
    if user == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(user=user, password=secret)


async def _run(program: str, text: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(program, "get"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Its children, such as one that asks for a PIN, end with it.
        start_new_session=True,
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise OSError("no standard streams")
        with suppress(ConnectionError):
            process.stdin.write(text.encode())
            await process.stdin.drain()
        process.stdin.close()
        output = b""
        while piece := await process.stdout.read(_LARGEST_ANSWER - len(output)):
            output += piece
        if await process.wait():
            raise OSError("the helper failed")
        return output
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, 9)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), _ENDED_SECONDS)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
