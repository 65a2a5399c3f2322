"""How a failure looks over HTTP: one table of statuses and one form of body."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus

from tornado.web import HTTPError

from .. import errors
from ..doctor.diagnoses import explained
from ..errors import DlenvError, InternalError

_log = logging.getLogger(__name__)

#: A class that is not named here has the status of its nearest ancestor that is.
STATUS: dict[type[DlenvError], HTTPStatus] = {
    DlenvError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidSpecError: HTTPStatus.BAD_REQUEST,
    errors.NotAllowedError: HTTPStatus.FORBIDDEN,
    errors.NameTakenError: HTTPStatus.CONFLICT,
    errors.EnvironmentNotFoundError: HTTPStatus.NOT_FOUND,
    errors.EnvironmentNotRunningError: HTTPStatus.CONFLICT,
    errors.LaunchCancelledError: HTTPStatus.CONFLICT,
    errors.PullCancelledError: HTTPStatus.CONFLICT,
    errors.SaveCancelledError: HTTPStatus.CONFLICT,
    errors.JobNotFoundError: HTTPStatus.NOT_FOUND,
    errors.NoFreeGpuError: HTTPStatus.CONFLICT,
    errors.SshUnavailableError: HTTPStatus.NOT_IMPLEMENTED,
    errors.KernelExitUnknownError: HTTPStatus.NOT_FOUND,
    errors.EngineUnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EnginePermissionError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EngineTooOldError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UnknownEngineError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EngineNotOfferedError: HTTPStatus.NOT_FOUND,
    errors.EngineBusyError: HTTPStatus.CONFLICT,
    errors.EngineTimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.CapabilityMissingError: HTTPStatus.NOT_IMPLEMENTED,
    errors.ContainerNotFoundError: HTTPStatus.NOT_FOUND,
    errors.ContainerNameTakenError: HTTPStatus.CONFLICT,
    errors.DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.PortTakenError: HTTPStatus.CONFLICT,
    errors.MountMissingError: HTTPStatus.BAD_REQUEST,
    errors.GPUUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UlimitRefusedError: HTTPStatus.BAD_REQUEST,
    errors.ImageError: HTTPStatus.BAD_GATEWAY,
    errors.ImageNotFoundError: HTTPStatus.NOT_FOUND,
    errors.ImageExistsError: HTTPStatus.CONFLICT,
    errors.ImageUnsupportedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ImageUnsuitableError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BuildFailedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AgentError: HTTPStatus.BAD_GATEWAY,
    errors.AgentUnreachableError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.LocalPortTakenError: HTTPStatus.CONFLICT,
    errors.ForwardNotFoundError: HTTPStatus.NOT_FOUND,
    errors.NoKeeperError: HTTPStatus.SERVICE_UNAVAILABLE,
}

#: What HTTP itself refuses, before any of our code is asked.
_HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: ("bad-request", "Correct the request and try again."),
    HTTPStatus.FORBIDDEN: ("forbidden", "Log in, or ask for the permission."),
    HTTPStatus.NOT_FOUND: ("no-such-route", "See openapi.json for the routes."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "See openapi.json for the routes."),
}


class RequestTooLargeError(errors.InvalidSpecError):
    """The body of a request is longer than any description of an environment."""

    code = "request-too-large"


class OriginRefusedError(DlenvError):
    """A web page asks for what is meant for programs."""

    code = "origin-refused"
    default_hint = "Use `jupyter dlenv ssh-proxy`, which is no web page."


STATUS[OriginRefusedError] = HTTPStatus.FORBIDDEN
STATUS[RequestTooLargeError] = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def describe(error: BaseException | None, status: int) -> tuple[int, dict[str, str]]:
    """Return status and JSON of whatever ended a request.

    Args:
        error: What was raised, if anything was.
        status: What the web server would answer.
    """
    if isinstance(error, DlenvError):
        return status_of(type(error)), explained(error).to_json()
    if error is not None and not isinstance(error, HTTPError):
        return 500, internal_error().to_json()
    code, hint = _HTTP_CODES.get(HTTPStatus(status), ("http-error", ""))
    said = error.log_message if isinstance(error, HTTPError) else None
    message = said or HTTPStatus(status).phrase
    return status, {"code": code, "message": message, "hint": hint, "detail": ""}


def failure_of(error: BaseException, what: str) -> DlenvError:
    """Return the error that whoever asked for a job is shown; an unexpected one is logged."""
    if isinstance(error, DlenvError):
        return explained(error)
    _log.error("The %s failed unexpectedly", what, exc_info=error)
    return internal_error()


def internal_error() -> InternalError:
    """Return what is shown of an error that nobody thought of: nothing of it."""
    return InternalError("The server met an error of its own.")


def status_of(kind: type[DlenvError]) -> int:
    """Return the HTTP status of a class of errors."""
    return next(STATUS[c].value for c in kind.__mro__ if c in STATUS)


def codes() -> dict[str, int]:
    """Return the status of every code that a body can carry."""
    http = {code: status.value for status, (code, _) in _HTTP_CODES.items()}
    return dict(sorted({**{c.code: status_of(c) for c in _tree(DlenvError)}, **http}.items()))


def _tree(kind: type[DlenvError]) -> Iterator[type[DlenvError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
