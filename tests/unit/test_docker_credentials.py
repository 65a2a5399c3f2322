"""The user's logins: Docker's config.json, its helpers, and what may be wrong with both."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from pathlib import Path

import pytest

from jupyter_dlenv.docker_credentials import Credentials, find_credentials

NGC = Credentials(user="$oauthtoken", password="nvapi-secret")


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def environ(tmp_path):
    """Return the variables of a user without any login, whose programs are in ``bin``."""
    (tmp_path / "bin").mkdir()
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": os.environ["PATH"]}


@pytest.fixture
def config(tmp_path):
    def write(**values):
        (tmp_path / "config.json").write_text(json.dumps(values))

    return write


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Return a function that installs a credential helper, a shell script."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "bin").mkdir(exist_ok=True)

    def install(name, script):
        program = tmp_path / "bin" / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


def wait_for(path):
    end = time.monotonic() + 10
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def is_alive(pid_file):
    return Path(f"/proc/{pid_file.read_text().strip()}").exists()


async def test_without_a_file_there_is_no_login(environ):
    assert await find_credentials("nvcr.io", environ) is None


async def test_the_home_directory_is_where_the_file_is(tmp_path):
    (tmp_path / ".docker").mkdir()
    auths = {"auths": {"nvcr.io": {"auth": encoded("$oauthtoken:nvapi-secret")}}}
    (tmp_path / ".docker/config.json").write_text(json.dumps(auths))

    assert await find_credentials("nvcr.io", {"HOME": str(tmp_path)}) == NGC


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        ("nvcr.io", "nvcr.io"),
        ("nvcr.io", "https://nvcr.io"),
        ("nvcr.io", "https://nvcr.io/v2/"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("docker.io", "docker.io"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
    ],
)
async def test_a_login_is_found_under_every_key_that_docker_writes(environ, config, registry, key):
    config(auths={"other.example": {"auth": encoded("a:b")}, key: {"auth": encoded("u:p:q")}})

    assert await find_credentials(registry, environ) == Credentials(user="u", password="p:q")


async def test_a_login_of_another_registry_is_not_used(environ, config):
    config(auths={"nvcr.io.example": {"auth": encoded("u:p")}, "nvcr.io:443": {"auth": "dTpw"}})

    assert await find_credentials("nvcr.io", environ) is None


async def test_an_identity_token_is_a_login(environ, config):
    config(auths={"r.example": {"auth": encoded("u:"), "identitytoken": "tok"}})

    assert (await find_credentials("r.example", environ)).identity_token == "tok"


async def test_the_helper_of_a_registry_is_asked_by_its_standard_input(environ, config, helper):
    helper("own", 'read key; echo "{\\"Username\\": \\"$key\\", \\"Secret\\": \\"$1\\"}"')
    config(credHelpers={"nvcr.io": "own"}, auths={"nvcr.io": {"auth": encoded("u:p")}})

    found = await find_credentials("nvcr.io", environ)

    assert found == Credentials(user="nvcr.io", password="get")


async def test_a_store_that_does_not_have_it_leaves_the_file(environ, config, helper):
    helper("store", "echo credentials not found in native keychain; exit 1")
    config(credsStore="store", auths={"nvcr.io": {"auth": encoded("u:p")}})

    assert (await find_credentials("nvcr.io", environ)).user == "u"


async def test_a_store_may_keep_a_token(environ, config, helper):
    helper("store", """echo '{"Username": "<token>", "Secret": "tok"}'""")
    config(credsStore="store")

    assert (await find_credentials("docker.io", environ)).identity_token == "tok"


@pytest.mark.parametrize("name", ["missing", "../../bin/sh", "a b", "", 7, None, "-x"])
async def test_a_helper_that_is_not_there_is_no_login(environ, config, name):
    config(credHelpers={"nvcr.io": name}, credsStore=name)

    assert await find_credentials("nvcr.io", environ) is None


@pytest.mark.parametrize(
    "said", ["", "hello", "[]", '{"Secret": 5}', '{"Username": "u"}', "[" * 9999]
)
async def test_a_helper_that_talks_nonsense_is_no_login(environ, config, helper, said):
    helper("odd", f"echo '{said}'")
    config(credHelpers={"nvcr.io": "odd"})

    assert await find_credentials("nvcr.io", environ) is None


async def test_a_helper_that_waits_for_somebody_ends_when_it_is_cancelled(
    environ, config, helper, tmp_path
):
    helper("slow", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 60")
    config(credHelpers={"nvcr.io": "slow"})
    asking = asyncio.create_task(find_credentials("nvcr.io", environ))
    started = tmp_path / "pid"
    await asyncio.to_thread(wait_for, started)

    asking.cancel()
    await asyncio.wait([asking], timeout=1)

    assert asking.cancelled()
    assert not is_alive(started)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"auths": []}', '{"auths": {"nvcr.io": 3}}', "[" * 100_000]
)
async def test_a_file_that_is_none_of_dockers_is_no_login(environ, tmp_path, text):
    (tmp_path / "config.json").write_text(text)

    assert await find_credentials("nvcr.io", environ) is None


@pytest.mark.parametrize("auth", ["!!!", "dTp", encoded("nobody"), "ÿ", encoded("u:")])
async def test_an_entry_that_cannot_be_read_is_no_login(environ, config, auth):
    config(auths={"nvcr.io": {"auth": auth}})

    assert await find_credentials("nvcr.io", environ) is None


def test_secrets_are_not_shown():
    assert "secret" not in repr(NGC)


def test_the_engine_gets_what_docker_gives_it():
    login = json.loads(base64.urlsafe_b64decode(NGC.for_engine("nvcr.io")))

    assert login == {
        "serveraddress": "nvcr.io",
        "username": "$oauthtoken",
        "password": "nvapi-secret",
    }
    assert NGC.basic() == f"Basic {encoded('$oauthtoken:nvapi-secret')}"
