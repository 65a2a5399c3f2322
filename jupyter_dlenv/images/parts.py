"""What an image lacks, fetched in a container of that image which is then thrown away.

Only there does pip see the very Python that the packages are for.  The certificates,
proxies and indexes of this machine are lent to that container and end with it, so the
image that is built from the parts, without any network, knows nothing of them.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import secrets
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from ..engines.base import (
    ContainerPlan,
    Engine,
    FileToPut,
    ImageFacts,
    ReportTransfer,
    TransferProgress,
)
from ..errors import BuildFailedError, ImageUnsupportedError
from ..labels import ROLE
from .distributions import DISTRIBUTIONS, PARTS, Distribution
from .download_settings import DownloadSettings, download_settings
from .host_pip import pip_program
from .probe import ImageProbe, probe_command, read_probe
from .recipe import packages
from .wheels import fetch_wheels

_log = logging.getLogger(__name__)

_LIFETIME_SECONDS = 1800
#: apt and pip say something, or give up, long before that.
_SILENCE_SECONDS = 120.0
_LARGEST_ARCHIVE = 512 * 1024**2
_LOG_TAIL = 8000
_REPORT_SECONDS = 0.1
_CA_BUNDLE = "/opt/dlenv/ca.pem"
_PIP = "/opt/dlenv/pip.whl"
_WHEELS = "/opt/dlenv/wheels"
_FILE_NAME = re.compile(r"(?:\./)?([A-Za-z0-9][A-Za-z0-9._+~^%!-]{0,254}\.(?:deb|rpm|apk|whl))\Z")
#: pip tells half of its story on standard output, where the archive has to be.
_DOWNLOAD_AND_SEND = '"$@" >&2 && exec "$0" -c "$send" "$wheels"'
_SEND = (
    "import sys, tarfile\n"
    "with tarfile.open(fileobj=sys.stdout.buffer, mode='w|') as archive:\n"
    "    archive.add(sys.argv[1], arcname='.')"
)


async def fetch_parts(
    engine: Engine,
    image: ImageFacts,
    probe: ImageProbe,
    *,
    labels: Mapping[str, str],
    report: ReportTransfer,
) -> tuple[FileToPut, ...]:
    """Return the packages and wheels that the image lacks, by bare file names.

    Takes some seconds, or minutes on a slow network.

    Raises:
        BuildFailedError: They cannot be had from the container nor from this machine.
        ImageUnsupportedError: The image's distribution has no Python that is new enough.
    """
    settings = await download_settings()
    async with _workbench(engine, image, settings, labels, report) as bench:
        system: tuple[FileToPut, ...] = ()
        if not probe.python:
            distribution = DISTRIBUTIONS[probe.os_family]
            system = await bench.fetch_packages(
                distribution, distribution.python, message="Downloading Python", install=True
            )
            probe = await bench.probe(image.id)
        try:
            wheels = await bench.fetch_wheels(probe)
        except BuildFailedError as error:
            _log.info("The container could not download: %s", error.detail)
            report(TransferProgress(message="Downloading the Jupyter kernel on this machine"))
            try:
                wheels = await fetch_wheels(probe, packages(probe))
            except BuildFailedError as here:
                raise BuildFailedError(
                    "The Jupyter kernel that the image lacks cannot be downloaded.",
                    hint=here.hint,
                    detail=f"In a container:\n{error.detail}\n\nHere:\n{here}\n{here.detail}",
                ) from here
    return system + wheels


async def fetch_ssh_parts(
    engine: Engine,
    image: ImageFacts,
    distribution: Distribution,
    *,
    labels: Mapping[str, str],
    report: ReportTransfer,
) -> tuple[FileToPut, ...]:
    """Return the packages of an SSH server, by bare file names.

    Raises:
        BuildFailedError: They cannot be had.
    """
    settings = await download_settings()
    async with _workbench(engine, image, settings, labels, report) as bench:
        return await bench.fetch_packages(
            distribution, distribution.ssh, message="Downloading an SSH server"
        )


class _Workbench:
    """A running container of the image, in which root downloads."""

    def __init__(
        self,
        engine: Engine,
        container_id: str,
        settings: DownloadSettings,
        report: ReportTransfer,
    ) -> None:
        self._engine = engine
        self._container_id = container_id
        self._settings = settings
        self._report = report

    async def fetch_packages(
        self, distribution: Distribution, names: str, *, message: str, install: bool = False
    ) -> tuple[FileToPut, ...]:
        env = {
            "parts": PARTS,
            "packages": names,
            "install": distribution.install if install else "",
            "ca_bundle": _CA_BUNDLE if self._settings.ca_bundle else "",
        }
        command = distribution.fetch_command()
        archive = await self._output(command, message=message, env=env)
        return await asyncio.to_thread(_files, archive)

    async def probe(self, image_id: str) -> ImageProbe:
        output = await self._output(probe_command(), message="Looking at the new Python")
        probe = read_probe(output.decode(errors="replace"), image_id=image_id)
        if probe is None or not probe.python:
            raise ImageUnsupportedError(
                "The image has no Python, and its distribution only an older one than 3.8."
            )
        return probe

    async def fetch_wheels(self, probe: ImageProbe) -> tuple[FileToPut, ...]:
        pip = (probe.python, "-m", "pip") if probe.pip else (probe.python, f"{_PIP}/pip")
        options = ("--only-binary=:all:", "--progress-bar=off", "--no-cache-dir", "--no-input")
        patience = ("--retries=1", "--timeout=20", "--disable-pip-version-check")
        download = (*pip, "download", *options, *patience, f"--dest={_WHEELS}", *packages(probe))
        archive = await self._output(
            (
                "/bin/sh",
                "-c",
                '"$@" >&2 && exec "$0" -c "$send" "$wheels"',
                probe.python,
                *download,
            ),
            message="Downloading the Jupyter kernel",
            # pip passes over a variable that is empty.
            env={
                "PIP_CONSTRAINT": "",
                "PIP_REQUIRE_VIRTUALENV": "",
                "send": _SEND,
                "wheels": _WHEELS,
            },
        )
        return await asyncio.to_thread(_files, archive)

    async def _output(
        self, argv: tuple[str, ...], *, message: str, env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a command and return its standard output; what else it says is reported."""
        log = _Log(self._report, message)
        output = bytearray()
        stream = await self._engine.open_stream(
            self._container_id, argv, env={**self._settings.env, **(env or {})}, user="0:0"
        )
        try:
            while True:
                channel, data = await asyncio.wait_for(stream.read(), _SILENCE_SECONDS)
                if channel == 0:
                    break
                if channel == 1:
                    output += data
                else:
                    log.add(data)
                if len(output) > _LARGEST_ARCHIVE:
                    raise BuildFailedError(f"{message} gave more than 512 MiB.", detail=log.tail)
            exit_code = await asyncio.wait_for(stream.wait(), _SILENCE_SECONDS)
        except asyncio.TimeoutError as error:
            raise BuildFailedError(f"{message} made no progress.", detail=log.tail) from error
        finally:
            log.flush()
            await stream.aclose()
        if exit_code:
            raise BuildFailedError(
                f"{message} failed in a container of the image.",
                hint="Check that containers of the engine reach the network.",
                detail=log.tail,
            )
        return bytes(output)


class _Log:
    """What a command says, reported at most ten times a second."""

    def __init__(self, report: ReportTransfer, message: str) -> None:
        self.tail = ""
        self._report = report
        self._message = message
        self._pending = ""
        self._reported = 0.0
        report(TransferProgress(message=message))

    def add(self, data: bytes) -> None:
        text = data.decode(errors="replace")
        self.tail = (self.tail + text)[-_LOG_TAIL:]
        self._pending += text
        if asyncio.get_running_loop().time() - self._reported > _REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            self._report(TransferProgress(message=self._message, log=self._pending))
            self._pending = ""
            self._reported = asyncio.get_running_loop().time()


@asynccontextmanager
async def _workbench(
    engine: Engine,
    image: ImageFacts,
    settings: DownloadSettings,
    labels: Mapping[str, str],
    report: ReportTransfer,
) -> AsyncIterator[_Workbench]:
    files = [FileToPut(path=_PIP, content=await asyncio.to_thread(pip_program))]
    trust = {}
    if settings.ca_bundle:
        files.append(FileToPut(path=_CA_BUNDLE, content=settings.ca_bundle))
        trust = dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), _CA_BUNDLE)
    plan = ContainerPlan(
        name=f"dlenv.parts.{secrets.token_hex(5)}",
        image=image.id,
        entrypoint=(),
        command=("/bin/sh", "-c", f"exec sleep {_LIFETIME_SECONDS}"),
        labels={**labels, ROLE: "probe"},
        env=trust,
        user="0:0",
        files=tuple(files),
    )
    container_id = await engine.create(plan)
    try:
        await engine.start(container_id)
        yield _Workbench(engine, container_id, settings, report)
    finally:
        await engine.remove(container_id)


def _files(archive: bytes) -> tuple[FileToPut, ...]:
    """Read an archive of packages; names that are not a package's are passed over."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return tuple(
                FileToPut(path=name[1], content=content.read())
                for member in tar
                if (name := _FILE_NAME.match(member.name)) and (content := tar.extractfile(member))
            )
    except tarfile.TarError as error:
        raise BuildFailedError(
            "The packages came out of the container damaged.", detail=str(error)
        ) from error
