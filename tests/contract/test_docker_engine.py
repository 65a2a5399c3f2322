"""What only Docker can do, and each of its failures, on a real engine."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import uuid
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from itertools import pairwise

import pytest

from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.engines.base import (
    FileToPut,
    SupportsImages,
    SupportsSocketMounts,
    Volume,
)
from jupyter_dlenv.errors import (
    BuildFailedError,
    ContainerNotFoundError,
    EngineError,
    EnginePermissionError,
    EngineTooOldError,
    EngineUnreachableError,
    GPUUnavailableError,
    ImageNotFoundError,
    MountMissingError,
    PortTakenError,
    RegistryRefusedError,
    RegistryUnreachableError,
    UlimitRefusedError,
)
from jupyter_dlenv.models import Mount, PortMapping, Ulimit

from .waiting import until, until_exited


@pytest.fixture
def engine_kind():
    return "docker"


@pytest.fixture
def reports():
    """Collect what a transfer reports."""
    return []


@pytest.fixture
def client(images):
    """Return docker-py's own view of the engine."""
    return images.client.api


@pytest.fixture
def built(client):
    """Return a tag for an image, which is removed at the end."""
    tag = f"dlenv-test/contract-{uuid.uuid4().hex[:8]}:1"
    yield tag
    for image in client.images(tag):
        client.remove_image(image["Id"], force=True)


async def _log(engine, container_id):
    await until_exited(engine, container_id)
    return b"".join([chunk async for chunk in engine.logs(container_id)]).decode()


async def test_the_engine_has_images_and_shares_sockets(engine):
    assert isinstance(engine, SupportsImages)
    assert isinstance(engine, SupportsSocketMounts)
    facts = await engine.probe()
    assert tuple(map(int, facts.api_version.split("."))) >= (1, 41)
    assert facts.cpus
    assert facts.memory
    assert facts.data_root
    assert engine.shares_sockets() == facts.local


async def test_files_are_there_before_the_command_starts(engine, running):
    files = (
        FileToPut(path="/opt/dlenv/agent/a.sh", content=b"#!/bin/sh\necho put\n", mode=0o755),
        FileToPut(path="/opt/dlenv/agent/b.txt", content=b"text"),
    )
    script = "/opt/dlenv/agent/a.sh; stat -c '%a %u:%g' /opt/dlenv/agent/b.txt"
    container_id = await running(script, files=files)
    assert await _log(engine, container_id) == "put\n644 0:0\n"


async def test_mounts_are_seen_inside(engine, running, tmp_path):
    (tmp_path / "a").write_text("mounted")
    container_id = await running(
        "cat /ro/a; touch /ro/b || echo refused; touch /rw/c",
        mounts=(
            Mount(source=str(tmp_path), target="/ro", read_only=True),
            Mount(source=str(tmp_path), target="/rw"),
        ),
    )
    assert "mounted" in (log := await _log(engine, container_id))
    assert "refused" in log
    assert (tmp_path / "c").exists()


async def test_limits_reach_the_container(engine, running):
    container_id = await running(
        "df -B1 --output=size /dev/shm | tail -1; ulimit -n; hostname; id -u; cat /proc/1/comm",
        shm_size=256 * 1024**2,
        ulimits=(Ulimit(name="nofile", soft=512, hard=1024),),
        hostname="contract",
        user="65534:65534",
    )
    said = (await _log(engine, container_id)).split()
    assert said == [str(256 * 1024**2), "512", "contract", "65534", "docker-init"]


async def test_a_container_without_gpus_says_so(engine, running):
    container_id = await running("echo $NVIDIA_VISIBLE_DEVICES")
    assert await _log(engine, container_id) == "void\n"


async def test_a_container_without_network_has_only_loopback(engine, running):
    container_id = await running("ls /sys/class/net", network=False)
    assert await _log(engine, container_id) == "lo\n"


async def test_a_published_port_is_the_one_that_the_engine_chose(engine, running):
    container_id = await running(ports=(PortMapping(container_port=80),))
    (port,) = (await engine.inspect(container_id)).ports
    assert (port.container_port, port.host_ip) == (80, "127.0.0.1")
    assert port.host_port > 0


async def test_a_new_volume_is_labelled_and_removed_with_its_container(
    engine, running, client, test_labels, run_id
):
    name = f"contract-{uuid.uuid4().hex[:8]}"
    volume = Volume(name=name, target="/home/dlenv", labels=test_labels)
    container_id = await running("touch /home/dlenv/a", volumes=(volume,))
    assert client.inspect_volume(name)["Labels"] == test_labels
    await engine.remove(container_id, volumes=test_labels)
    assert name not in _volumes(client, test_labels)


async def test_a_volume_survives_where_it_is_not_asked_to_go(
    engine, plan, client, test_labels, run_id
):
    name = f"contract-{uuid.uuid4().hex[:8]}"
    volume = Volume(name=name, target="/home/dlenv", labels=test_labels)
    await engine.remove(await engine.create(plan(volumes=(volume,))))
    assert name in _volumes(client, test_labels)
    second = await engine.create(plan(volumes=(volume,)))
    await engine.remove(second, volumes={**test_labels, "more": "labels"})
    assert name in _volumes(client, test_labels)
    third = await engine.create(plan(volumes=(volume,)))
    await engine.remove(third, volumes=test_labels)
    assert name not in _volumes(client, test_labels)


async def test_a_refused_container_leaves_no_volume(engine, plan, client, test_labels):
    volume = Volume(name=f"contract-{uuid.uuid4().hex[:8]}", target="/home", labels=test_labels)
    refused = plan(volumes=(volume,), mounts=(Mount(source="/nowhere/at/all", target="/data"),))
    with pytest.raises(MountMissingError, match="/nowhere/at/all"):
        await engine.create(refused)
    assert await engine.list(test_labels) == ()
    assert _volumes(client, test_labels) == []


async def test_files_that_cannot_be_put_leave_no_container(engine, plan, client, test_labels):
    volume = Volume(name=f"contract-{uuid.uuid4().hex[:8]}", target="/home", labels=test_labels)
    # /etc/hostname is a file, and can hold none.
    bad = FileToPut(path="/etc/debian_version/impossible", content=b"x")
    with pytest.raises(EngineError):
        await engine.create(plan(volumes=(volume,), files=(bad,)))
    assert await engine.list(test_labels) == ()
    assert _volumes(client, test_labels) == []


async def test_a_cancelled_create_leaves_no_volume(engine, plan, client, test_labels):
    volume = Volume(name=f"contract-{uuid.uuid4().hex[:8]}", target="/home", labels=test_labels)
    creating = asyncio.create_task(engine.create(plan(volumes=(volume,))))

    async def made():
        return await engine.list(test_labels)

    await until(made)
    creating.cancel()
    await asyncio.wait([creating])
    if not creating.cancelled():
        await engine.remove(creating.result(), volumes=test_labels)
    assert await engine.list(test_labels) == ()
    assert _volumes(client, test_labels) == []


def _volumes(client, labels):
    filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
    return [volume["Name"] for volume in client.volumes(filters=filters)["Volumes"] or ()]


async def test_an_image_that_is_missing_is_an_error(engine, plan):
    with pytest.raises(ImageNotFoundError):
        await engine.create(replace(plan(), image="dlenv-test/nothing:1"))
    with pytest.raises(ImageNotFoundError):
        await engine.inspect_image("dlenv-test/nothing:1")


async def test_a_port_that_is_taken_is_an_error(engine, plan, test_labels):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        container_id = await engine.create(
            plan(ports=(PortMapping(container_port=80, host_port=port),))
        )
        with pytest.raises(PortTakenError, match=str(port)):
            await engine.start(container_id)
    assert (await engine.inspect(container_id)).state == "created"
    await engine.remove(container_id)
    assert await engine.list(test_labels) == ()


async def test_a_port_that_a_container_has_is_an_error(engine, plan, running):
    first = await running(ports=(PortMapping(container_port=80),))
    (port,) = (await engine.inspect(first)).ports
    second = await engine.create(plan(ports=(replace(port, container_port=81),)))
    with pytest.raises(PortTakenError, match=str(port.host_port)):
        await engine.start(second)


async def test_any_port_is_one_that_is_free(engine, running):
    """Two engines on one host choose from the same ports, and neither sees the other's."""
    first = await running(ports=(PortMapping(container_port=80),))
    (port,) = (await engine.inspect(first)).ports
    with ExitStack() as others:
        # Docker tries the next ten by itself.
        for number in range(port.host_port + 1, port.host_port + 16):
            with suppress(OSError):
                others.enter_context(socket.create_server(("127.0.0.1", number)))
        second = await running(ports=(PortMapping(container_port=80),))
        (found,) = (await engine.inspect(second)).ports
    assert found.host_port > 0


async def test_a_mount_that_went_away_is_an_error(engine, plan, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    container_id = await engine.create(plan(mounts=(Mount(source=str(source), target="/data"),)))
    source.rmdir()
    with pytest.raises(MountMissingError):
        await engine.start(container_id)


async def test_a_ulimit_beyond_the_hosts_is_an_error(engine, plan):
    container_id = await engine.create(plan(ulimits=(Ulimit(name="memlock", soft=-1, hard=-1),)))
    with _or_skip("This engine's host permits it."), pytest.raises(UlimitRefusedError) as caught:
        await engine.start(container_id)
    assert "rlimit" in caught.value.detail


async def test_gpus_that_are_not_there_are_an_error(engine, plan):
    container_id = await engine.create(plan(gpus=("GPU-99999999",)))
    with _or_skip("This engine says it has such a GPU."), pytest.raises(GPUUnavailableError):
        await engine.start(container_id)


@contextmanager
def _or_skip(reason):
    try:
        yield
    except pytest.fail.Exception:
        pytest.skip(reason)


async def test_a_socket_that_is_not_there_is_an_error(tmp_path):
    missing = open_engine(f"unix://{tmp_path}/docker.sock", data_dir=tmp_path)
    with pytest.raises(EngineUnreachableError) as caught:
        await missing.probe()
    assert "docker.sock" in str(caught.value)
    with pytest.raises(EngineUnreachableError):
        await anext(missing.events())
    await missing.aclose()


async def test_an_engine_that_speaks_no_http_is_an_error(tmp_path):
    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-something\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(hang_up, tmp_path / "odd.sock")
    odd = open_engine(f"unix://{tmp_path}/odd.sock", data_dir=tmp_path)
    with pytest.raises(EngineUnreachableError):
        await odd.probe()
    await odd.aclose()
    server.close()


async def test_a_socket_without_permission_is_an_error(tmp_path, other_user):
    path = tmp_path / "docker.sock"
    tmp_path.chmod(0o755)
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0o600)
        closed = open_engine(f"unix://{path}", data_dir=tmp_path)
        os.seteuid(other_user.uid)
        try:
            with pytest.raises(EnginePermissionError) as caught:
                await closed.probe()
        finally:
            os.seteuid(0)
            await closed.aclose()
    assert str(path) in str(caught.value)
    assert "docker group" in caught.value.hint


async def test_a_pull_brings_the_image_and_reports(engine, registry, images, built, reports):
    content = os.urandom(2 * 1024**2)
    await engine.build(
        tag=built,
        report=reports.append,
        dockerfile="FROM scratch\nCOPY content /\n",
        files=(FileToPut(path="content", content=content),),
    )
    repository = f"team/{uuid.uuid4().hex}:1"
    image = await asyncio.to_thread(registry.push, images.client, built, repository)
    await asyncio.to_thread(images.client.images.remove, built)
    reports.clear()
    facts = await engine.pull(image, reports.append)
    try:
        assert image in facts.tags
        assert facts.id.startswith("sha256:")
        assert [digest.partition("@")[0] for digest in facts.digests] == [image.rpartition(":")[0]]
        assert image in [tag for listed in await engine.list_images() for tag in listed.tags]
        assert reports[-1].layers
        assert reports[-1].current == reports[-1].total
        by_digest = await engine.pull(facts.digests[0], reports.append)
        assert by_digest.id == facts.id
    finally:
        await asyncio.to_thread(images.client.images.remove, facts.id, force=True)


async def test_an_image_that_the_registry_does_not_have_is_an_error(engine, registry, reports):
    for image in ("team/tiny:nothing", "team/nothing:1"):
        with pytest.raises(ImageNotFoundError) as caught:
            await engine.pull(f"{registry.address}/{image}", reports.append)
        assert image in str(caught.value)


async def test_a_registry_that_wants_a_login_is_an_error(engine, private_registry, reports):
    with pytest.raises(RegistryRefusedError, match="team/tiny"):
        await engine.pull(f"{private_registry.address}/team/tiny:1", reports.append)


async def test_the_users_login_is_used(engine, private_registry, reports, tmp_path, monkeypatch):
    login = private_registry.login
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    secret = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    config = {"auths": {private_registry.address: {"auth": secret}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    facts = await engine.pull(f"{private_registry.address}/team/tiny:1", reports.append)
    assert facts.tags


async def test_a_registry_that_is_not_there_is_an_error(engine, reports):
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(RegistryUnreachableError):
        await engine.pull(f"127.0.0.1:{port}/a/b:1", reports.append)


async def test_a_pull_from_a_silent_registry_is_cancelled_at_once(engine, reports):
    connected = asyncio.Event()
    silent = []

    async def stay_silent(reader, writer):
        silent.append(asyncio.current_task())
        connected.set()
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pulling = asyncio.create_task(engine.pull(f"127.0.0.1:{port}/a/b:1", reports.append))
    await asyncio.wait_for(connected.wait(), 20)
    pulling.cancel()
    await asyncio.wait([pulling], timeout=1)
    server.close()
    for task in silent:
        task.cancel()
    await asyncio.wait(silent, timeout=1)
    assert pulling.cancelled()


def _dockerfile(*lines):
    return "\n".join(("FROM dlenv-test/bare", *lines)) + "\n"


async def test_a_build_from_text_and_files(engine, built, reports, test_labels):
    facts = await engine.build(
        tag=built,
        report=reports.append,
        dockerfile=_dockerfile("COPY a/b.txt /b.txt", "RUN cat /b.txt && ls /sys/class/net"),
        files=(FileToPut(path="a/b.txt", content=b"from a file"),),
        labels=test_labels,
        network=False,
    )
    assert facts.tags == (built,)
    assert test_labels.items() <= facts.labels.items()
    log = "".join(report.log for report in reports)
    assert "from a file" in log
    assert "eth0" not in log
    assert reports[-1].current == reports[-1].total > 0


async def test_a_build_from_a_directory_leaves_out_what_is_ignored(
    engine, built, reports, tmp_path
):
    (tmp_path / "Dockerfile").write_text(_dockerfile("COPY . /context/", "RUN find /context"))
    (tmp_path / ".dockerignore").write_text("# secrets\n*.key\n")
    (tmp_path / "private.key").write_text("secret")
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/big").write_bytes(bytes(3 * 1024**2 + 1))
    (tmp_path / "link").symlink_to("deep")
    await engine.build(tag=built, report=reports.append, directory=str(tmp_path))
    log = "".join(report.log for report in reports)
    assert "/context/deep/er/big" in log
    assert "/context/link" in log
    assert "private.key" not in log


async def test_a_build_that_fails_shows_the_output_of_its_step(engine, built, reports, client):
    marker = f"marker-{uuid.uuid4().hex}"
    with pytest.raises(BuildFailedError) as caught:
        await engine.build(
            tag=built,
            report=reports.append,
            dockerfile=_dockerfile("RUN echo earlier", f"RUN echo {marker}; exit 9"),
        )
    assert "Step 3/3" in str(caught.value)
    assert f"{marker}\n" in caught.value.detail
    assert "earlier" not in caught.value.detail
    assert f"{marker}\n" in "".join(report.log for report in reports)
    assert not _containers_that_say(client, marker)


@pytest.mark.parametrize("dockerfile", ["NONSENSE\n", "FROM dlenv-test/nothing:1\n", ""])
async def test_a_recipe_that_cannot_be_built_is_an_error(engine, built, reports, dockerfile):
    with pytest.raises(BuildFailedError) as caught:
        await engine.build(tag=built, report=reports.append, dockerfile=dockerfile)
    assert caught.value.detail


async def test_a_directory_without_a_recipe_is_an_error(engine, built, reports, tmp_path):
    with pytest.raises(BuildFailedError, match="no Dockerfile"):
        await engine.build(tag=built, report=reports.append, directory=str(tmp_path))


async def test_a_cancelled_build_leaves_no_container(engine, built, reports, client):
    marker = f"marker-{uuid.uuid4().hex}"
    building = asyncio.create_task(
        engine.build(
            tag=built,
            report=reports.append,
            dockerfile=_dockerfile(f"RUN echo {marker}; sleep 1000"),
        )
    )

    async def at_it():
        return f"{marker}\n" in "".join(report.log for report in reports)

    await until(at_it, limit=60)
    building.cancel()
    await asyncio.wait([building], timeout=10)
    assert building.cancelled()
    assert not _containers_that_say(client, marker)


def _containers_that_say(client, marker):
    return [c for c in client.containers(all=True) if marker in c["Command"]]


async def test_a_reporter_hears_at_most_ten_times_a_second(engine, built):
    heard = []
    loop = asyncio.get_running_loop()
    await engine.build(
        tag=built,
        report=lambda report: heard.append((loop.time(), report.log)),
        dockerfile=_dockerfile("RUN for i in $(seq 3000); do echo line $i; done"),
    )
    log = "".join(text for _, text in heard)
    assert all(f"line {i}\n" in log for i in range(1, 3001))
    # All but the last, which is not held back.
    times = [moment for moment, _ in heard[:-1]]
    assert all(b - a > 0.09 for a, b in pairwise(times))


async def test_an_engine_that_is_too_old_is_an_error(tmp_path):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"ApiVersion": "1.40"}')
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "docker.sock")
    old = open_engine(f"unix://{tmp_path}/docker.sock", data_dir=tmp_path)
    with pytest.raises(EngineTooOldError, match=r"1\.40"):
        await old.probe()
    await old.aclose()
    server.close()


async def test_events_end_when_the_engine_goes_away(tmp_path):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    version = b'{"ApiVersion": "1.45"}'

    async def answer(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        if b"/events" in request:
            writer.write(head)
        else:
            length = str(len(version)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + version)
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "docker.sock")
    dying = open_engine(f"unix://{tmp_path}/docker.sock", data_dir=tmp_path)
    with pytest.raises(EngineUnreachableError):
        await anext(dying.events())
    await dying.aclose()
    server.close()


async def test_twenty_containers_at_once(engine, plan, test_labels):
    """The event loop is watched by the test suite: it never stands still for 0.25 s."""

    async def live():
        container_id = await engine.create(plan(ports=(PortMapping(container_port=80),)))
        await engine.start(container_id)
        assert (await engine.inspect(container_id)).ports
        await engine.stop(container_id, timeout=1)
        await engine.remove(container_id)
        with pytest.raises(ContainerNotFoundError):
            await engine.inspect(container_id)

    await asyncio.gather(*(live() for _ in range(20)))
    assert await engine.list(test_labels) == ()
