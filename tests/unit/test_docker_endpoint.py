"""Which Docker engine is meant when none is named."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from hashlib import sha256

import pytest

from jupyter_dlenv.engines import docker_elsewhere, open_engine
from jupyter_dlenv.engines.docker_endpoint import DockerEndpoint
from jupyter_dlenv.errors import UnknownEngineError


@pytest.fixture
def docker_config(tmp_path, monkeypatch):
    """Return an empty directory that Docker's own settings are read from."""
    directory = tmp_path / "docker-config"
    directory.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    (directory / "config.json").write_text("{}")
    return directory


def _write_context(docker_config, name, host):
    directory = docker_config / "contexts/meta" / sha256(name.encode()).hexdigest()
    directory.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (directory / "meta.json").write_text(json.dumps(meta))


def test_the_variable_comes_first(docker_config):
    _write_context(docker_config, "other", "unix:///context.sock")
    environ = {"DOCKER_HOST": "unix:///variable.sock", "DOCKER_CONTEXT": "other"}
    assert DockerEndpoint.find(environ).url == "unix:///variable.sock"


def test_the_current_context_comes_second(docker_config):
    _write_context(docker_config, "other", "tcp://engine.example:2375")
    (docker_config / "config.json").write_text('{"currentContext": "other"}')
    assert DockerEndpoint.find({}).url == "tcp://engine.example:2375"


def test_a_context_may_be_named_by_a_variable(docker_config):
    _write_context(docker_config, "other", "ssh://me@engine.example")
    assert DockerEndpoint.find({"DOCKER_CONTEXT": "other"}).url == "ssh://me@engine.example"


def test_a_context_that_does_not_exist_is_an_error(docker_config):
    with pytest.raises(UnknownEngineError, match="context"):
        DockerEndpoint.find({"DOCKER_CONTEXT": "nothing"})


def test_a_context_that_cannot_be_read_is_an_error(docker_config):
    _write_context(docker_config, "other", "unix:///context.sock")
    for meta in docker_config.glob("contexts/meta/*/meta.json"):
        meta.write_text("{")
    with pytest.raises(UnknownEngineError, match="context"):
        DockerEndpoint.find({"DOCKER_CONTEXT": "other"})


def test_the_socket_that_answers_is_preferred_to_one_that_only_exists(docker_config, tmp_path):
    stale, answering = tmp_path / "docker.sock", tmp_path / "home/.docker/run/docker.sock"
    answering.parent.mkdir(parents=True)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    with closing(socket.socket(socket.AF_UNIX)) as bound_only:
        bound_only.bind(str(stale))
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(str(answering))
            listening.listen()
            found = DockerEndpoint.find(environ).url
    assert found in (f"unix://{answering}", "unix:///var/run/docker.sock")


@pytest.mark.parametrize(
    "url",
    [
        "http://engine.example:2375",
        "tcp://engine.example",
        "tcp://:2375",
        "tcp://engine.example:port",
        "unix://",
        "ssh://",
        "nonsense",
        "",
    ],
)
def test_what_is_no_address_of_docker_is_refused(url):
    with pytest.raises(UnknownEngineError):
        DockerEndpoint.from_url(url, {})


def test_certificates_come_from_the_usual_variables(tmp_path):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    environ = {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
    endpoint = DockerEndpoint.from_url("tcp://engine.example:2376", environ)
    assert endpoint.tls.cert == (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    assert endpoint.tls.ca_cert == str(tmp_path / "ca.pem")
    assert endpoint.client_arguments() == {"base_url": endpoint.url, "tls": endpoint.tls}


def test_certificates_that_are_not_there_are_an_error(tmp_path):
    environ = {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
    with pytest.raises(UnknownEngineError, match="certificates"):
        DockerEndpoint.from_url("tcp://engine.example:2376", environ)


def test_a_unix_socket_has_no_certificates(tmp_path):
    environ = {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
    assert DockerEndpoint.from_url("unix:///docker.sock", environ).tls is None


def test_only_a_unix_socket_can_be_of_this_machine():
    assert DockerEndpoint.from_url("unix:///docker.sock", {}).on_this_machine
    assert not DockerEndpoint.from_url("tcp://127.0.0.1:2375", {}).on_this_machine
    assert not DockerEndpoint.from_url("ssh://localhost", {}).on_this_machine


def test_docker_is_on_another_machine_where_the_variable_or_the_context_says_so(
    docker_config, monkeypatch
):
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    assert docker_elsewhere() == ""
    _write_context(docker_config, "other", "ssh://me@engine.example")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert docker_elsewhere() == "ssh://me@engine.example"
    monkeypatch.setenv("DOCKER_CONTEXT", "missing")
    assert docker_elsewhere() == ""
    monkeypatch.setenv("DOCKER_HOST", "unix:///docker.sock")
    assert docker_elsewhere() == ""


@pytest.mark.parametrize("name", ["podman", "", "http://x", "dockerr"])
def test_an_engine_that_does_not_exist_is_an_error(name, tmp_path):
    with pytest.raises(UnknownEngineError):
        open_engine(name, data_dir=tmp_path)


def test_an_engine_keeps_the_name_that_the_user_gave(docker_config, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", "unix:///docker.sock")
    for name in ("docker", "process", "unix:///other.sock"):
        assert open_engine(name, data_dir=tmp_path).name == name
