"""What engines and registries of all ages say, and which of our errors it means."""

from __future__ import annotations

import pytest

from jupyter_dlenv.engines.docker_errors import push_refusal, refusal, registry_refusal, translated
from jupyter_dlenv.errors import (
    ContainerNameTakenError,
    ContainerNotFoundError,
    DiskFullError,
    EngineError,
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

RUNC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (
            409,
            'Conflict. The container name "/a" is already in use by container "1". You have to …',
            ContainerNameTakenError,
        ),
        (
            500,
            (
                "driver failed programming external connectivity on endpoint a (1): "
                "Bind for 127.0.0.1:8080 failed: port is already allocated"
            ),
            PortTakenError,
        ),
        (
            500,
            (
                "failed to set up container networking: driver failed programming external "
                "connectivity on endpoint a: failed to bind host port 127.0.0.1:8080/tcp: "
                "address already in use"
            ),
            PortTakenError,
        ),
        (
            500,
            "userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
            PortTakenError,
        ),
        (
            400,
            'invalid mount config for type "bind": bind source path does not exist: /nowhere',
            MountMissingError,
        ),
        (
            400,
            RUNC + 'error mounting "/etc/hosts" to rootfs at "/data": mount /etc/hosts:/data: '
            "not a directory: unknown: Are you trying to mount a directory onto a file?",
            MountMissingError,
        ),
        (500, "write /var/lib/docker/x: no space left on device", DiskFullError),
        (
            500,
            'could not select device driver "" with capabilities: [[gpu]]',
            GPUUnavailableError,
        ),
        (
            500,
            RUNC + "error running prestart hook #0: exit status 1, stdout: , stderr: "
            "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
            GPUUnavailableError,
        ),
        (500, "error running hook #0: error running hook: exit status 1", GPUUnavailableError),
        (400, "Unknown runtime specified nvidia", GPUUnavailableError),
        (400, "unknown or invalid runtime name: nvidia", GPUUnavailableError),
        (
            500,
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=9",
            GPUUnavailableError,
        ),
        (
            500,
            RUNC + "error setting rlimits: error setting rlimit type 8: operation not permitted",
            UlimitRefusedError,
        ),
        (404, "No such image: nothing:latest", ImageNotFoundError),
        (404, "No such container: a", ContainerNotFoundError),
        (404, "No such exec instance: a", ContainerNotFoundError),
        (409, "container a is not running", EnvironmentNotRunningError),
        (
            409,
            "Container a is paused, unpause the container before exec",
            EnvironmentNotRunningError,
        ),
        (400, "Client sent an HTTP request to an HTTPS server.", EngineUnreachableError),
        (500, "something else entirely", EngineError),
    ],
)
def test_an_answer_of_the_engine_is_one_of_our_errors(status, text, kind):
    error = refusal(status, text)
    assert type(error) is kind
    assert error.detail == text
    assert error.hint


def test_a_taken_port_is_named():
    error = refusal(500, "Bind for 127.0.0.1:8080 failed: port is already allocated")
    assert str(error) == "Port 8080 is in use on the engine's host."


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("for 127.0.0.1:8080:172.17.0.3:80/tcp: address already in use", "Port 8080"),
        ("for [::1]:8080:[fd00::2]:80/tcp: address already in use", "Port 8080"),
        ("for 127.0.0.1::172.17.0.3:80/tcp: address already in use", "A port that should be"),
    ],
)
def test_a_port_inside_is_not_taken_for_the_one_of_the_host(said, named):
    error = refusal(500, f"failed to bind host port {said}")

    assert str(error).startswith(named)
    assert not error.blames(80)


def test_a_missing_mount_is_named():
    error = refusal(400, "invalid mount config: bind source path does not exist: /srv/data")
    assert str(error) == "/srv/data does not exist on the engine's host."


def test_an_unexplained_404_is_what_was_asked_for():
    assert type(refusal(404, "page not found", missing=ContainerNotFoundError)) is (
        ContainerNotFoundError
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("manifest for {} not found: manifest unknown: manifest unknown", ImageNotFoundError),
        ('failed to resolve reference "{}": {}: not found', ImageNotFoundError),
        ("manifest unknown", ImageNotFoundError),
        ("name unknown: repository name not known to registry", ImageNotFoundError),
        (
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            ImageNotFoundError,
        ),
        ("invalid reference format", ImageNotFoundError),
        (
            (
                "pull access denied for {}, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied"
            ),
            ImageNotFoundError,
        ),
        (
            (
                "pull access denied, repository does not exist or may require authorization: "
                "server message: insufficient_scope: authorization failed"
            ),
            ImageNotFoundError,
        ),
        ('Head "https://r/v2/a/manifests/1": no basic auth credentials', RegistryRefusedError),
        ("unauthorized: authentication required", RegistryRefusedError),
        (
            (
                "pull access denied, repository does not exist or may require authorization: "
                "authorization failed: no basic auth credentials"
            ),
            RegistryRefusedError,
        ),
        ("Head https://r/v2/: denied: access forbidden", RegistryRefusedError),
        (
            "unexpected status from HEAD request to http://r/v2/a: 401 Unauthorized",
            RegistryRefusedError,
        ),
        ("toomanyrequests: You have reached your pull rate limit", RegistryRefusedError),
        (
            'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
            RegistryUnreachableError,
        ),
        ("dial tcp: lookup r on 1.1.1.1:53: no such host", RegistryUnreachableError),
        ("dial tcp 10.0.0.1:443: i/o timeout", RegistryUnreachableError),
        ("x509: certificate signed by unknown authority", RegistryUnreachableError),
        ("http: server gave HTTP response to HTTPS client", RegistryUnreachableError),
        (
            "Client.Timeout exceeded while awaiting headers",
            RegistryUnreachableError,
        ),
        ("received unexpected HTTP status: 502 Bad Gateway", RegistryUnreachableError),
        ("write /var/lib/docker/tmp/x: no space left on device", DiskFullError),
        ("something else entirely", EngineError),
    ],
)
@pytest.mark.parametrize("image", ["acme/plain:1", "acme/unauthorized-not-found:denied"])
def test_a_failed_pull_is_one_of_our_errors(image, text, kind):
    error = registry_refusal(image, text.format(image, image))
    assert type(error) is kind
    assert image in str(error) or kind is DiskFullError


def test_docker_does_not_tell_a_private_image_from_a_missing_one():
    text = "pull access denied for a, repository does not exist or may require 'docker login'"
    error = registry_refusal("a", text)
    assert "docker login" in error.hint
    assert "spelling" in error.hint


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # Docker 20.10 to 28, and engines that keep images in containerd.
        ("no basic auth credentials", RegistryRefusedError),
        ("unauthorized: authentication required", RegistryRefusedError),
        ("denied: requested access to the resource is denied", RegistryRefusedError),
        (
            "push access denied, may require authorization: no basic auth credentials",
            RegistryRefusedError,
        ),
        (
            "unexpected status from HEAD request to http://h/v2/a/b/sha256:1500: 401 Unauthorized",
            RegistryRefusedError,
        ),
        ("An image does not exist locally with the tag: {0}", ImageNotFoundError),
        ("tag does not exist: {0}", ImageNotFoundError),
        (
            'Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused',
            RegistryUnreachableError,
        ),
        ("blob upload invalid", EngineError),
    ],
)
@pytest.mark.parametrize("image", ["acme/plain:1", "acme/unauthorized-not-found:denied"])
def test_a_failed_push_is_one_of_our_errors(image, text, kind):
    error = push_refusal(image, text.format(image))
    assert type(error) is kind
    assert image in str(error)


@pytest.mark.parametrize(
    ("url", "advice"),
    [("unix:///docker.sock", "sudo systemctl"), ("tcp://gpu-box:2376", "Start Docker there")],
)
def test_what_to_start_is_told_of_the_machine_that_does_not_answer(url, advice):
    with pytest.raises(EngineUnreachableError) as caught, translated(url):
        raise ConnectionRefusedError("refused")

    assert advice in caught.value.hint
