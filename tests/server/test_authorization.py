"""Nobody gets past any verb of any route without a login and the permission."""

from __future__ import annotations

import re
import warnings

import pytest
from jupyter_server.auth import Authorizer
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import JupyterServerAuthWarning
from traitlets.config import Config

from jupyter_dlenv.server import openapi

DOCUMENT = openapi.description("/")
OPERATIONS = [
    (verb.upper(), re.sub(r"\{[a-z]+\}", "x", path), operation["x-action"])
    for path, item in DOCUMENT["paths"].items()
    for verb, operation in item.items()
    if verb != "parameters"
]


class Recorder(Authorizer):
    """Refuses everything, and remembers what it was asked."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def is_authorized(self, handler, user, action, resource):
        self.asked.append((action, resource))
        return False


@pytest.fixture
def recorder():
    Recorder.asked.clear()
    return Recorder


@pytest.fixture
def jp_server_config(jp_server_config, request):
    server = dict(jp_server_config["ServerApp"])
    if "recorder" in request.fixturenames:
        server["authorizer_class"] = Recorder
    return {**jp_server_config, "ServerApp": server}


def body(verb: str) -> dict[str, str]:
    return {"body": "{}"} if verb in ("POST", "PUT") else {}


async def test_without_a_login_every_verb_is_forbidden(api):
    for verb, path, _ in OPERATIONS:
        answer = await api.ask(verb, path, headers={"Authorization": "none"}, **body(verb))

        assert (403, "forbidden") == (answer.code, answer.error["code"]), (verb, path)


async def test_who_lacks_the_permission_is_refused_by_every_verb(recorder, api):
    # Twice: the decorator of Jupyter Server must not keep anything from the first round.
    for verb, path, action in OPERATIONS * 2:
        recorder.asked.clear()

        answer = await api.ask(verb, path, **body(verb))

        assert (403, "forbidden") == (answer.code, answer.error["code"]), (verb, path)
        assert [(action, "dlenv")] == recorder.asked


def test_a_server_that_insists_on_logins_finds_no_open_route(jp_environ, tmp_path):
    ServerApp.clear_instance()
    config = Config({"Configuration": {"engine": "process", "data_dir": str(tmp_path)}})
    server = ServerApp.instance(
        allow_unauthenticated_access=False,
        jpserver_extensions={"jupyter_dlenv": True},
        reraise_server_extension_failures=True,
        config=config,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("error", JupyterServerAuthWarning)
        server.initialize(argv=["--allow-root"], find_extensions=False, new_httpserver=False)
