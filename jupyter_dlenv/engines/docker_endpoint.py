"""Where a Docker engine is: its address, its certificates, and a connection to it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docker.context import ContextAPI
from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from ..errors import UnknownEngineError
from ..secrecy import without_password
from .direct_reader import DirectReader

SCHEMES = ("unix", "tcp", "ssh")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerEndpoint:
    """The address of one Docker engine, as in ``DOCKER_HOST``."""

    url: str
    tls: TLSConfig | None = None

    @classmethod
    def from_url(cls, url: str, environ: Mapping[str, str] | None = None) -> DockerEndpoint:
        """Read an engine URL; certificates come from Docker's usual variables.

        Raises:
            UnknownEngineError: The URL is none that Docker has.
        """
        parts, said = urlsplit(url), without_password(url)
        complete = parts.path if parts.scheme == "unix" else parts.hostname
        if parts.scheme not in SCHEMES or not complete:
            raise UnknownEngineError(f"{said!r} is not the address of a Docker engine.")
        try:
            valid_port = parts.port is not None or parts.scheme != "tcp"
        except ValueError:
            valid_port = False
        if not valid_port:
            raise UnknownEngineError(
                f"{said!r} has no port.",
                hint="Docker listens on 2376 with TLS, else on 2375.",
            )
        environ = os.environ if environ is None else environ
        return cls(url=url, tls=_tls(environ) if parts.scheme == "tcp" else None)

    @classmethod
    def find(cls, environ: Mapping[str, str] | None = None) -> DockerEndpoint:
        """Return what the ``docker`` command would use, or the first socket that answers.

        Raises:
            UnknownEngineError: ``DOCKER_HOST`` or the Docker context cannot be used.
        """
        environ = os.environ if environ is None else environ
        return cls.chosen(environ) or _from_sockets(environ)

    @classmethod
    def chosen(cls, environ: Mapping[str, str] | None = None) -> DockerEndpoint | None:
        """Return what ``DOCKER_HOST`` or the Docker context says, unless neither says anything.

        Raises:
            UnknownEngineError: It cannot be used.
        """
        environ = os.environ if environ is None else environ
        if url := environ.get("DOCKER_HOST"):
            return cls.from_url(url, environ)
        return _from_context(environ.get("DOCKER_CONTEXT"))

    @property
    def on_this_machine(self) -> bool:
        """Tell whether the address can be of this machine (a socket may still be forwarded)."""
        # On a Mac the engine runs in a virtual machine, whoever made it.
        return self.url.startswith("unix:") and sys.platform == "linux"

    def client_arguments(self) -> dict[str, Any]:
        """Return what docker-py's client wants to know."""
        arguments: dict[str, Any] = {"base_url": self.url}
        if self.tls is not None:
            arguments["tls"] = self.tls
        if self.url.startswith("ssh:"):
            # The user's own ssh, with their configuration and their agent.
            arguments["use_ssh_client"] = True
        return arguments

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection that carries HTTP.

        Raises:
            OSError
        """
        parts, loop = urlsplit(self.url), asyncio.get_running_loop()
        if parts.scheme == "ssh":
            return await _through_ssh(self.url)
        reader = DirectReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport: asyncio.WriteTransport
        if parts.scheme == "unix":
            transport, _ = await loop.create_unix_connection(lambda: protocol, parts.path)
        else:
            context = None if self.tls is None else _ssl_context(self.tls)
            transport, _ = await loop.create_connection(
                lambda: protocol, str(parts.hostname), parts.port or 0, ssl=context
            )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _tls(environ: Mapping[str, str]) -> TLSConfig | None:
    try:
        # A copy that is never empty: docker-py reads os.environ instead of an empty one.
        tls = kwargs_from_env(environment={"DOCKER_HOST": "", **environ}).get("tls")
    except DockerException as error:
        raise UnknownEngineError(
            "The certificates for the Docker engine cannot be read.",
            hint="DOCKER_CERT_PATH names a directory with ca.pem, cert.pem and key.pem.",
            detail=str(error),
        ) from error
    return tls if isinstance(tls, TLSConfig) else None


def _from_context(name: str | None) -> DockerEndpoint | None:
    try:
        context = ContextAPI.get_context(name)
    # docker-py raises a bare Exception for a context file that it cannot read.
    except Exception as error:
        raise UnknownEngineError(
            "The Docker context cannot be read.",
            hint="See `docker context ls`, or set DOCKER_HOST.",
            detail=str(error),
        ) from error
    if context is None:
        raise UnknownEngineError(
            f"There is no Docker context {name or 'of the name in config.json'}.",
            hint="See `docker context ls`.",
        )
    if context.name == "default":
        return None
    endpoint = DockerEndpoint.from_url(context.Host or "", environ={})
    return DockerEndpoint(url=endpoint.url, tls=context.TLSConfig)


def _from_sockets(environ: Mapping[str, str]) -> DockerEndpoint:
    paths = [Path("/var/run/docker.sock")]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        paths.append(Path(runtime, "docker.sock"))
    if home := environ.get("HOME"):
        paths.append(Path(home, ".docker/run/docker.sock"))
    present = [path for path in paths if path.is_socket()]
    answering = [path for path in present if _answers(path)]
    # One that refuses still says more about what is wrong than one that is not there.
    return DockerEndpoint(url=f"unix://{(answering + present + paths)[0]}")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        return connection.connect_ex(str(path)) == 0


def _ssl_context(tls: TLSConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_cert if tls.verify else None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context


async def _through_ssh(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    options = ["-l", parts.username] if parts.username else []
    options += ["-p", str(parts.port)] if parts.port else []
    process = await asyncio.create_subprocess_exec(
        *("ssh", *options, "--", str(parts.hostname), "docker", "system", "dial-stdio"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise ConnectionError("ssh has no standard streams")
    return process.stdout, process.stdin
