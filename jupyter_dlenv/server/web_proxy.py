"""Web services of environments below the Jupyter URL: ``dlenv/proxy/NAME/PORT/…``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.extension.handler import ExtensionHandlerMixin
from jupyter_server.utils import ensure_async
from jupyter_server_proxy.handlers import AddSlashHandler, ProxyHandler
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError, authenticated

from ..access.relay import Place, Port
from ..errors import DlenvError, EnvironmentNotRunningError
from ..models import Status
from .base import RESOURCE
from .failures import status_of

if TYPE_CHECKING:
    from .app import DlenvApp

PROXY = "dlenv/proxy"
_SERVICE = r"([a-z0-9][a-z0-9_-]{0,39})/([0-9]{1,5})"
_HIGHEST_PORT = 65535
#: Cookies by which Jupyter and JupyterHub know the user; those of services have other names.
_JUPYTER_COOKIE = re.compile(r"(username-|jupyterhub-|jupyter-hub|_xsrf\Z)", re.IGNORECASE)
#: What the proxied request has failed with, when the service could not be reached.
_BROKEN = (500, 599)


class WebProxyHandler(ExtensionHandlerMixin, ProxyHandler):  # type: ignore[misc]  # untyped base
    """One web service: its pages and its websockets, for who may use the environment.

    jupyter-server-proxy does the work, over a private unix socket that leads inside.  What
    it would pass on and an environment must not have stays here: Jupyter's own cookies and
    tokens, with which a service could do everything that the user can.
    """

    auth_resource = RESOURCE

    @property
    def dlenv(self) -> DlenvApp:
        return cast("DlenvApp", self.extensionapp)

    async def prepare(self, *args: Any, **kwargs: Any) -> None:
        await super().prepare(*args, **kwargs)
        if not self.current_user:
            # The login page is on its way.
            return
        # The service sees no XSRF token, so another site's page must not get here at all.
        if not self.check_origin():
            raise HTTPError(403, "Another site's page may not use this service.")
        allowed = self.authorizer.is_authorized(self, self.current_user, "execute", RESOURCE)
        if not await ensure_async(allowed):
            raise HTTPError(403)

    @ws_authenticated
    async def get(self, name: str, port: str, path: str) -> None:
        await super().get(name, port, path)

    async def http_get(self, name: str, port: str, path: str) -> None:
        await self._answer(name, port, path)

    @authenticated
    async def post(self, name: str, port: str, path: str) -> None:
        await self._answer(name, port, path)

    put = patch = delete = head = options = post

    async def open(self, name: str, port: str, path: str) -> None:
        try:
            await self._find(name, port)
            await self.proxy_open("localhost", int(port), path)
        except (DlenvError, HTTPError, OSError) as error:
            self.log.info("No websocket to port %s of %s: %s", port, name, error)
            self.close(1011, "the service does not answer")

    def proxy_request_headers(self) -> HTTPHeaders:
        headers: HTTPHeaders = super().proxy_request_headers()
        scheme = headers.get("Authorization", "").partition(" ")[0].lower()
        if scheme == "token" or self.token_authenticated:
            headers.pop("Authorization", None)
        cookies = [c.strip() for c in headers.get("Cookie", "").split(";")]
        kept = [c for c in cookies if c and not self._is_jupyters(c.partition("=")[0])]
        headers.pop("Cookie", None)
        if kept:
            headers["Cookie"] = "; ".join(kept)
        headers.pop("X-Xsrftoken", None)
        return headers

    def add_header(self, name: str, value: Any) -> None:
        # A service must not replace the cookies by which Jupyter knows the user either.
        if name.lower() != "set-cookie" or not self._is_jupyters(str(value).partition("=")[0]):
            super().add_header(name, value)

    def get_client_uri(self, protocol: str, host: str, port: int, proxied_path: str) -> str:
        uri, _, query = str(super().get_client_uri(protocol, host, port, proxied_path)).partition(
            "?"
        )
        if self.token_authenticated and "token=" in query:
            pairs = parse_qsl(query, keep_blank_values=True)
            query = urlencode([(key, value) for key, value in pairs if key != "token"])
        return f"{uri}?{query}" if query else uri

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, DlenvError):
            super().write_error(status_code, **kwargs)
            return
        # Jupyter's own pages do not say why.
        self.set_status(status_of(type(error)))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{error}\n{error.hint}\n")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, DlenvError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)

    async def _answer(self, name: str, port: str, path: str) -> None:
        try:
            place = await self._find(name, port)
            await self.proxy("localhost", int(port), path)
        except HTTPError as error:
            if error.status_code in _BROKEN:
                await self._explain(place, int(port), error)
            raise
        except OSError as error:
            await self._explain(place, int(port), error)
            raise HTTPError(502, f"The service broke off: {error}.") from error

    async def _find(self, name: str, port: str) -> Place:
        if not 1 <= int(port) <= _HIGHEST_PORT:
            raise HTTPError(404)
        environment = await self.dlenv.environments().get(name)
        if environment.status is not Status.RUNNING:
            raise EnvironmentNotRunningError(f"The environment {name!r} is not running.")
        place = Place.of(environment)
        self.proxy_base = f"{PROXY}/{name}/{port}"
        self.unix_socket = await self.dlenv.doors.path(place, int(port))
        return place

    async def _explain(self, place: Place, port: int, error: Exception) -> None:
        """Raise why a service cannot be reached, if that is why the request has failed."""
        try:
            (await self.dlenv.environments().relay.connect(place, Port(port))).close()
        except DlenvError as reason:
            raise reason from error

    def _is_jupyters(self, cookie: str) -> bool:
        own = self.identity_provider.get_cookie_name(self)
        return cookie == own or _JUPYTER_COOKIE.match(cookie) is not None


#: Paths below the server's base URL, and what is given to their handlers.
PROXY_ROUTES: tuple[tuple[str, type[Any]], ...] = (
    (rf"/{PROXY}/{_SERVICE}(/.*)", WebProxyHandler),
    (rf"/{PROXY}/{_SERVICE}", AddSlashHandler),
)
