"""What all routes have in common: reading requests, and answering them, failures included."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado.web import authenticated

from ..errors import DlenvError, InvalidSpecError
from .failures import RequestTooLargeError, describe
from .translation import in_language, sentences_for

if TYPE_CHECKING:
    from .app import DlenvApp

API = "dlenv/api"
#: The longest description of an environment that anybody may send.
LARGEST_BODY = 1024**2
RESOURCE = "dlenv"
#: Below the server's base URL.
API = "dlenv/api"

_Verb = TypeVar("_Verb", bound=Callable[..., Awaitable[None]])


def needs(action: Literal["read", "write", "execute"]) -> Callable[[_Verb], _Verb]:
    """Let a verb be used only by who is logged in and may do this.

    Action and resource are always given to ``@authorized``: left out, it keeps those of
    the first request that it sees.
    """

    def decorate(verb: _Verb) -> _Verb:
        checked: _Verb = authorized(action, resource=RESOURCE)(verb)
        return cast("_Verb", authenticated(checked))

    return decorate


class DlenvHandler(ExtensionHandlerMixin, APIHandler):
    """One route of the REST API."""

    auth_resource = RESOURCE

    @property
    def dlenv(self) -> DlenvApp:
        return cast("DlenvApp", self.extensionapp)

    def read_json(self) -> dict[str, Any]:
        """Return the request's body.

        Raises:
            InvalidSpecError: It is too long, or no JSON object.
        """
        if len(self.request.body) > LARGEST_BODY:
            raise RequestTooLargeError(f"The request is longer than {LARGEST_BODY} bytes.")
        try:
            body = json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            raise InvalidSpecError("The request is not JSON.", detail=str(error)) from error
        if not isinstance(body, dict):
            raise InvalidSpecError("The request is not a JSON object.")
        return body

    def read_number(self, name: str, default: int) -> int:
        """Return a whole number, 0 or more, of the URL's query."""
        text = self.get_query_argument(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidSpecError(f"{name} is a whole number, not {text[:40]!r}.")
        return int(text)

    def send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self._said(value)))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with what was raised; called by the web server for every failure."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        status, body = describe(error, status_code)
        self.set_status(status)
        self.finish(json.dumps(self._said({"error": body})))

    def _said(self, value: Any) -> Any:
        """Return what is sent, with its sentences in the language that is asked for."""
        sentences = sentences_for(self.request.headers.get("Accept-Language", ""))
        self.set_header("Vary", "Accept-Language")
        self.set_header("Content-Language", sentences.language if sentences else "en")
        return in_language(sentences, value) if sentences else value

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if isinstance(value, DlenvError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)
