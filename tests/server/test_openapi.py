"""The description of the API says what is there, all of it, and nothing else."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate
from tornado.web import RequestHandler

from jupyter_dlenv import errors, models
from jupyter_dlenv.server import openapi
from jupyter_dlenv.server.failures import STATUS, codes
from jupyter_dlenv.server.handlers import ROUTES

VERBS = ("get", "head", "post", "put", "patch", "delete")


@pytest.fixture
def document():
    return openapi.description("/base/dlenv/api")


def implemented(handler) -> set[str]:
    return {
        verb
        for verb in VERBS
        if getattr(handler, verb) is not RequestHandler._unimplemented_method
        and verb in vars(handler)
    }


def test_it_is_a_valid_openapi_document(document):
    validate(document)


def test_every_route_and_verb_is_described_and_the_other_way_round(document):
    served = {path: implemented(handler) for path, handler in ROUTES}
    described = {path: set(item) - {"parameters"} for path, item in document["paths"].items()}

    assert served == described


def test_every_operation_names_itself_and_the_action_that_it_needs(document):
    operations = [o for p in document["paths"].values() for k, o in p.items() if k != "parameters"]

    assert len({o["operationId"] for o in operations}) == len(operations)
    assert {"read", "write", "execute"} == {o["x-action"] for o in operations}


def test_every_class_of_errors_has_a_status_and_is_described(document):
    described = document["components"]["schemas"]["ErrorDetails"]["properties"]["code"]["enum"]
    tree = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]

    assert {e.code for e in tree} <= set(codes())
    assert set(codes()) == set(described)
    for code, status in codes().items():
        assert f"| `{code}` | {status} |" in document["info"]["description"]


def test_the_errors_of_engines_that_users_meet_have_a_status_of_their_own():
    assert {
        errors.EngineUnreachableError: 503,
        errors.EnginePermissionError: 503,
        errors.EngineTimeoutError: 504,
        errors.DiskFullError: 507,
    }.items() <= STATUS.items()


def test_a_launch_can_be_described_with_every_field_of_a_spec(document):
    described = set(document["components"]["schemas"]["Launch"]["properties"])

    assert (
        set(models.EnvironmentSpec.__dataclass_fields__)
        | {"authorize", "build_dir", "project", "wait_for_gpus"}
        == described
    )


async def test_it_is_served_with_the_url_of_this_server(api, jp_base_url):
    answer = await api.get("/openapi.json")

    assert [{"url": f"{jp_base_url}dlenv/api"}] == answer.json["servers"]
