"""What Docker engines, docker-py and sockets say when they fail, in our words.

The texts differ by engine, version and storage, so they are matched loosely.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from docker.errors import APIError, DockerException
from docker.utils import parse_repository_tag
from requests.exceptions import ConnectTimeout, RequestException, Timeout

from ..errors import (
    ContainerNameTakenError,
    ContainerNotFoundError,
    DiskFullError,
    DlenvError,
    EngineError,
    EnginePermissionError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentNotRunningError,
    GPUUnavailableError,
    ImageNotFoundError,
    MountMissingError,
    PortTakenError,
    RegistryRefusedError,
    RegistryUnreachableError,
    UlimitRefusedError,
)
from ..secrecy import without_password

_NAME_TAKEN = re.compile(r"name .* is already in use", re.IGNORECASE)
_PORT_TAKEN = re.compile(r"port is already allocated|address already in use", re.IGNORECASE)
#: After another colon it is an address inside, as in ``127.0.0.1::172.17.0.2:80/tcp``.
_ADDRESS = re.compile(r"(?<![:.\d])(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]*\]):(\d+)")
_REMOTE_HINT = (
    "Start Docker there, or correct the address: DOCKER_HOST, the Docker context or the "
    "configuration has it."
)
_MOUNT_SOURCE = re.compile(r"bind source path does not exist:? ?(\S*)", re.IGNORECASE)
_MOUNT_KIND = re.compile(
    r"mount.*not a directory|not a directory.*mount", re.IGNORECASE | re.DOTALL
)
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_GPU = re.compile(
    r"could not select device driver|hook #\d+|nvidia-container|CDI (?:device|spec)"
    r"|unknown (?:or invalid )?runtime (?:name|specified):? nvidia",
    re.IGNORECASE,
)
_NOT_RUNNING = re.compile(r"is not running|is paused", re.IGNORECASE)
_NO_IMAGE = re.compile(r"no such image", re.IGNORECASE)
_NO_CONTAINER = re.compile(r"no such (?:container|exec)", re.IGNORECASE)
_TLS_WANTED = re.compile(r"HTTP request to an HTTPS server", re.IGNORECASE)

_REGISTRY_LOGIN = re.compile(
    r"no basic auth|unauthorized|authentication required|incorrect username", re.IGNORECASE
)
_REGISTRY_AMBIGUOUS = re.compile(
    r"access.*denied.*(?:may require|insufficient_scope)", re.IGNORECASE | re.DOTALL
)
_REGISTRY_AWAY = re.compile(
    r"connection refused|no such host|i/o timeout|TLS handshake|x509|certificate"
    r"|deadline exceeded|Client\.Timeout|network is unreachable|no route to host|connection reset"
    r"|server misbehaving|temporary failure in name|HTTP response to HTTPS client|\bEOF\b"
    r"|unexpected (?:HTTP )?status.*5\d\d|proxyconnect",
    re.IGNORECASE,
)
_REGISTRY_REFUSED = re.compile(
    rf"{_REGISTRY_LOGIN.pattern}|denied|forbidden"
    r"|toomanyrequests|too many requests|status.*40[13]",
    re.IGNORECASE,
)
_IMAGE_MISSING = re.compile(
    r"manifest unknown|not found|does not exist|name unknown|no such image|no matching manifest"
    r"|invalid reference format",
    re.IGNORECASE,
)
_NOTHING_TO_PUSH = re.compile(
    r"no such image|does not exist locally|tag does not exist", re.IGNORECASE
)
_DETAIL_LIMIT = 64 * 1024


@contextmanager
def translated(url: str, *, missing: type[DlenvError] = EngineError) -> Iterator[None]:
    """Turn everything foreign that the block raises into one of our errors.

    Args:
        url: The engine's address, for the message.
        missing: What it means when the engine answers 404 without a word of explanation.
    """
    try:
        yield
    except APIError as error:
        status = error.status_code or 0
        raise refusal(status, str(error.explanation or error), missing=missing) from error
    except (DockerException, RequestException, OSError, ValueError, asyncio.TimeoutError) as error:
        raise _no_answer(url, error) from error


def refusal(status: int, text: str, *, missing: type[DlenvError] = EngineError) -> DlenvError:
    """Return the error that an answer of the engine means."""
    text = text.strip()[-_DETAIL_LIMIT:]
    if status == 409 and _NAME_TAKEN.search(text):
        return ContainerNameTakenError(
            "The engine already has a container of that name.", detail=text
        )
    if _PORT_TAKEN.search(text):
        port = _ADDRESS.search(text)
        subject = f"Port {port[1]}" if port else "A port that should be published"
        return PortTakenError(f"{subject} is in use on the engine's host.", detail=text)
    if source := _MOUNT_SOURCE.search(text):
        return MountMissingError(
            f"{source[1] or 'The source of a mount'} does not exist on the engine's host.",
            detail=text,
        )
    if _MOUNT_KIND.search(text):
        return MountMissingError(
            "A file cannot be mounted on a directory, nor a directory on a file.",
            hint="Correct the source or the target of the mount.",
            detail=text,
        )
    if _DISK_FULL.search(text):
        return DiskFullError("The engine's disk is full.", detail=text)
    if _GPU.search(text):
        return GPUUnavailableError("The engine cannot give GPUs to containers.", detail=text)
    if "rlimit" in text:
        return UlimitRefusedError(
            "The engine's host does not permit one of the ulimits.", detail=text
        )
    if _NO_IMAGE.search(text):
        return ImageNotFoundError("The engine does not have the image.", detail=text)
    if _NO_CONTAINER.search(text):
        return ContainerNotFoundError("The container is gone.", detail=text)
    if _NOT_RUNNING.search(text):
        return EnvironmentNotRunningError("The environment is not running.", detail=text)
    if _TLS_WANTED.search(text):
        return EngineUnreachableError(
            "The engine wants TLS.",
            hint="Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the client's certificates.",
            detail=text,
        )
    error = missing if status == 404 else EngineError
    return error(f"The engine refused: {_first_sentence(text)}", detail=text)


def registry_refusal(image: str, text: str) -> DlenvError:
    """Return the error that a failed pull means."""
    if _DISK_FULL.search(text):
        return DiskFullError("The engine's disk is full.", detail=text)
    said = _without_name(image, text)
    if _REGISTRY_AMBIGUOUS.search(said) and not _REGISTRY_LOGIN.search(said):
        return ImageNotFoundError(
            f"There is no image {image}, or its registry wants a login first.",
            hint="Check the spelling; for a private image, log in with `docker login REGISTRY`.",
            detail=text,
        )
    if _REGISTRY_AWAY.search(said):
        return RegistryUnreachableError(
            f"The engine cannot reach the registry of {image}.", detail=text
        )
    if _REGISTRY_REFUSED.search(said):
        return RegistryRefusedError(f"The registry refuses to give {image}.", detail=text)
    if "no matching manifest" in said:
        return ImageNotFoundError(
            f"{image} was not built for this engine's kind of processor.",
            hint="Choose a tag for this architecture (on ARM servers one with `sbsa` or without a "
            "suffix, not `igpu`), or another engine.",
            detail=text,
        )
    if _IMAGE_MISSING.search(said):
        return ImageNotFoundError(f"There is no image {image}.", detail=text)
    return EngineError(f"The engine could not pull {image}.", detail=text)


def push_refusal(image: str, text: str) -> DlenvError:
    """Return the error that a failed push means."""
    said = _without_name(image, text)
    if _NOTHING_TO_PUSH.search(said):
        return ImageNotFoundError(f"The engine has no image {image}.", detail=text)
    if _REGISTRY_LOGIN.search(said):
        return RegistryRefusedError(f"The registry refuses to take {image}.", detail=text)
    if _REGISTRY_AWAY.search(said):
        return RegistryUnreachableError(
            f"The engine cannot reach the registry of {image}.", detail=text
        )
    if _REGISTRY_REFUSED.search(said):
        return RegistryRefusedError(f"The registry refuses to take {image}.", detail=text)
    return EngineError(f"The engine could not push {image}.", detail=text)


def _without_name(image: str, text: str) -> str:
    # An image may well be called "acme/denied".
    repository, _ = parse_repository_tag(image)
    return re.sub(rf"(?<![\w./-]){re.escape(repository)}(?::[\w.-]+)?(?![\w/-])", "", text)


def _no_answer(url: str, error: Exception) -> DlenvError:
    causes = list(_causes(error))
    detail = str(error).replace(url, without_password(url))
    url = without_password(url)
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EnginePermissionError(f"You may not use the engine at {url}.", detail=detail)
    waited = (Timeout, TimeoutError, asyncio.TimeoutError)
    if any(isinstance(c, waited) and not isinstance(c, ConnectTimeout) for c in causes):
        return EngineTimeoutError(f"The engine at {url} did not answer in time.", detail=detail)
    if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes):
        return DiskFullError("The disk of this machine is full.", detail=detail)
    if "paramiko" in detail:
        return EngineUnreachableError(
            f"The engine at {url} needs Docker's support for ssh.",
            hint='Install it where Jupyter runs: `pip install "docker[ssh]"`.',
            detail=detail,
        )
    hint = "" if url.startswith("unix:") else _REMOTE_HINT
    return EngineUnreachableError(f"No engine answers at {url}.", hint=hint, detail=detail)


def _causes(error: BaseException) -> Iterator[BaseException]:
    # requests and urllib3 keep the cause now in __cause__, now in __context__, now in args.
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        linked = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        pending += [link for link in linked if isinstance(link, BaseException)]


def _first_sentence(text: str) -> str:
    line = text.splitlines()[0] if text else "it gave no reason"
    return f"{line[:200].rstrip('.')}."
