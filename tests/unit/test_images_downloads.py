"""What containers are told of this machine's network, and what this machine fetches itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import zipfile
from dataclasses import dataclass

import psutil
import pytest

from jupyter_dlenv.errors import BuildFailedError
from jupyter_dlenv.images.download_settings import download_settings, index_settings
from jupyter_dlenv.images.host_pip import pip_program, run_pip
from jupyter_dlenv.images.probe import ImageProbe
from jupyter_dlenv.images.wheels import platforms


def test_indexes_of_pip_s_configuration_are_passed_on():
    configuration = (
        "global.index-url='https://packages.example/simple'\n"
        "global.trusted-host='packages.example'\n"
        "global.timeout='60'\n"
    )

    assert {
        "PIP_INDEX_URL": "https://packages.example/simple",
        "PIP_TRUSTED_HOST": "packages.example",
    } == index_settings(configuration)


def test_a_variable_wins_over_the_file():
    configuration = "global.index-url='https://a.example'\n:env:.index-url='https://b.example'\n"

    assert {"PIP_INDEX_URL": "https://b.example"} == index_settings(configuration)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@packages.example/simple",
        "https://token@packages.example/simple",
        "file:///opt/packages",
        "/opt/packages",
        "https://[broken/simple",
    ],
)
def test_logins_and_files_stay_on_this_machine(url):
    configuration = f"global.extra-index-url='{url} https://packages.example/simple'"

    assert {"PIP_EXTRA_INDEX_URL": "https://packages.example/simple"} == index_settings(
        configuration
    )


@pytest.mark.parametrize("line", ["", "nonsense", "global.index-url=", "global.index-url=f('a')"])
def test_configuration_that_cannot_be_read_is_passed_over(line):
    assert {} == index_settings(line)


async def test_proxies_and_certificates_are_passed_on(tmp_path, monkeypatch):
    for name in ("PIP_CERT", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")

    settings = await download_settings()

    assert bundle.read_bytes() == settings.ca_bundle
    assert "http://proxy.example:3128" == settings.env["http_proxy"]
    assert "localhost" == settings.env["NO_PROXY"]
    assert "ALL_PROXY" not in settings.env


def test_the_lent_pip_runs_without_being_installed(tmp_path):
    program = tmp_path / "pip.whl"
    program.write_bytes(pip_program())

    assert zipfile.is_zipfile(program)
    version = subprocess.run(
        [sys.executable, f"{program}/pip", "--version"], capture_output=True, text=True, timeout=60
    )
    assert version.stdout.startswith("pip ")


async def test_a_failure_of_pip_tells_what_pip_said():
    with pytest.raises(BuildFailedError) as failed:
        await run_pip("no-such-command", limit=30)

    assert "no-such-command" in failed.value.detail


async def test_pip_that_takes_too_long_is_killed(tmp_path, slow_index):
    with pytest.raises(BuildFailedError, match="not ended"):
        await run_pip("download", "--no-deps", f"--dest={tmp_path}", *slow_index.arguments, limit=1)

    assert not processes_with(tmp_path)


async def test_pip_is_killed_on_cancellation_and_leaves_nothing(tmp_path, slow_index, monkeypatch):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    running = asyncio.create_task(
        run_pip("download", "--no-deps", f"--dest={tmp_path}", *slow_index.arguments, limit=60)
    )
    await asyncio.wait_for(slow_index.asked.wait(), 30)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running

    assert not processes_with(tmp_path)
    assert [] == list(scratch.iterdir())


@pytest.mark.parametrize(
    ("libc", "family", "first", "last"),
    [
        ("glibc 2.36", "debian", "manylinux_2_36_x86_64", "manylinux1_x86_64"),
        ("glibc 2.17", "rhel", "manylinux_2_17_x86_64", "manylinux1_x86_64"),
        ("", "alpine", "musllinux_1_2_x86_64", "musllinux_1_1_x86_64"),
    ],
)
def test_wheels_fit_the_system_of_the_image(libc, family, first, last):
    probe = ImageProbe(image_id="i", libc=libc, os_family=family, architecture="x86_64")

    tags = platforms(probe)

    assert first == tags[0]
    assert last == tags[-1]


def test_no_wheels_are_guessed_for_an_unknown_system():
    with pytest.raises(BuildFailedError, match="haiku"):
        platforms(ImageProbe(image_id="i", os_family="haiku", architecture="x86_64"))


@dataclass(frozen=True)
class SlowIndex:
    arguments: tuple[str, ...]
    asked: asyncio.Event


@pytest.fixture
def slow_index(jp_asyncio_loop):
    """Run an index that accepts connections, and never answers."""
    connections = []
    asked = asyncio.Event()

    async def keep(_reader, writer):
        connections.append(writer)
        asked.set()

    async def serve():
        return await asyncio.start_server(keep, "127.0.0.1", 0)

    server = jp_asyncio_loop.run_until_complete(serve())
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield SlowIndex(arguments=("--isolated", f"--index-url={url}", "a-package"), asked=asked)
    server.close()
    for connection in connections:
        connection.close()


def processes_with(argument):
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(argument) in word for word in process.info["cmdline"] or ())
    ]
