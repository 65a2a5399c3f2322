"""What people use instead, on the same engine: gateway_provisioners and dockernel.

Both come into a virtual environment of their own, which sees what ours has, and into images made
of what an environment runs, so that the same kernel starts everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import docker
from rig.server import Server
from tornado.httpclient import HTTPClientError

from .measures import kernel
from .setting import Setting

GATEWAY, DOCKERNEL = "gateway_provisioners, a new container", "dockernel, a new container"
NAMES = (GATEWAY, DOCKERNEL)
_REQUIREMENTS = ("gateway_provisioners[docker]==0.5.0", "dockernel==1.0.2")
_PATIENCE = 300
#: As `jupyter image-bootstrap install` does it in an image that has pip and can reach an index.
_GATEWAY_IMAGE = """\
FROM {image}
USER root
COPY bin /usr/local/bin
RUN chmod 755 /usr/local/bin/bootstrap-kernel.sh \\
 && ln -sf "$(command -v python3)" /usr/local/bin/python
ENTRYPOINT []
CMD ["/usr/local/bin/bootstrap-kernel.sh"]
"""
_DOCKERNEL_IMAGE = """\
FROM {image}
ENTRYPOINT []
CMD exec python3 -m ipykernel_launcher -f "$DOCKERNEL_CONNECTION_FILE"
"""
#: What can go wrong with a tool, an index, an engine and a network that are not ours.
FAILURES = (
    AssertionError,
    HTTPClientError,
    OSError,
    docker.errors.DockerException,
    subprocess.SubprocessError,
)


@dataclass
class Peers:
    """Where to start a kernel of each, by candidate, and why that cannot be done."""

    kernels: dict[str, tuple[Server, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def running(
    place: Setting, ours: Server, image: str, arguments: tuple[str, ...]
) -> AsyncIterator[Peers]:
    """Make the peers ready; in the end nothing of them is left on the engine.

    Args:
        ours: For the one that loads no code into a server.
        image: What the environments run that they are compared with.
        arguments: For a second server, of the one that does: see `_Bench.gateway`.
    """
    peers = Peers()
    async with AsyncExitStack() as stack:
        engine = stack.enter_context(contextlib.closing(docker.from_env(timeout=_PATIENCE)))
        bench = _Bench(place, ours, image, arguments, engine, stack)
        for candidate, prepare in ((DOCKERNEL, bench.dockernel), (GATEWAY, bench.gateway)):
            try:
                server, name = await prepare()
                # Uncounted, as everything's first start: it shows whether it works here.
                async with kernel(server, name) as page:
                    await page.execute("6 * 7")
                peers.kernels[candidate] = server, name
            except FAILURES as error:
                peers.missing[candidate] = _reason(error, place.log)
        yield peers


@dataclass
class _Bench:
    """What it takes to prepare each of them."""

    place: Setting
    ours: Server
    image: str
    arguments: tuple[str, ...]
    engine: docker.DockerClient
    stack: AsyncExitStack

    async def dockernel(self) -> tuple[Server, str]:
        """Prepare what is a command that a kernelspec names."""
        await asyncio.to_thread(self._install)
        tag = await self._built(_DOCKERNEL_IMAGE, self._context("dockernel"))
        # Its own `install` asks the engine for what newer ones no longer tell.
        spec = {
            "argv": [str(self._python), "-m", "dockernel", "start", tag, "{connection_file}"],
            "display_name": "dockernel",
            "language": "python",
            "interrupt_mode": "message",
        }
        kernelspec = self.place.directory / "data/kernels/dockernel/kernel.json"
        kernelspec.parent.mkdir(parents=True)
        kernelspec.write_text(json.dumps(spec))
        return self.ours, "dockernel"

    async def gateway(self) -> tuple[Server, str]:
        """Prepare what is a provisioner, with a server of its own.

        From its first kernel on it waits for containers in steps of 10 ms, in which the loop of
        the server does nothing else, and the others would be measured with that.  The server has
        our extension, since how TCP acknowledges is not what is compared.
        """
        await asyncio.to_thread(self._install)
        tag = await self._built(_GATEWAY_IMAGE, self._gateway_context())
        await asyncio.to_thread(
            _run,
            *(str(self._python), "-m", "gateway_provisioners.cli.docker_specapp", "install"),
            *("--user", "--kernel-name=gateway", f"--image-name={tag}"),
        )
        bridge = self.engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
        environ = {
            "PYTHONPATH": str(self._site),
            # Its kernelspec runs `python`.
            "PATH": f"{self._python.parent}{os.pathsep}{os.environ['PATH']}",
            # It refuses root.
            "KERNEL_USERNAME": "benchmark",
            # Where a container finds the server.
            "GP_RESPONSE_IP": bridge["Gateway"],
        }
        server = self.place.server(env=environ, arguments=self.arguments)
        self.stack.push_async_callback(server.end, signal.SIGTERM)
        await server.start()
        return server, "gateway"

    @property
    def _python(self) -> Path:
        return self.place.directory / "peers/bin/python"

    @property
    def _site(self) -> Path:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return self.place.directory / f"peers/lib/python{version}/site-packages"

    def _install(self) -> None:
        """Install both, and of what they need only what we have not: all else is the same."""
        if (self._site / "dockernel").is_dir():
            return
        venv = self.place.directory / "peers"
        _run(sys.executable, "-m", "venv", "--without-pip", "--clear", str(venv))
        ours = sysconfig.get_path("purelib")
        (self._site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
        _run(str(self._python), "-m", "pip", "install", "-qq", *_REQUIREMENTS)

    def _context(self, name: str) -> Path:
        context = self.place.directory / f"images/{name}"
        context.mkdir(parents=True)
        return context

    def _gateway_context(self) -> Path:
        context = self._context("gateway")
        launchers = self._site / "gateway_provisioners/kernel-launchers"
        python = context / "bin/kernel-launchers/python"
        for part in ("python", "shared"):
            shutil.copytree(launchers / part, python, dirs_exist_ok=True)
        # With which a kernel encrypts its answer, where its launcher looks first.
        shutil.copytree(self._site / "Cryptodome", python / "scripts/Cryptodome")
        script = Template((launchers / "bootstrap/bootstrap-kernel.sh").read_text())
        path = context / "bin/bootstrap-kernel.sh"
        path.write_text(script.safe_substitute(install_dir="/usr/local/bin"))
        return context

    async def _built(self, dockerfile: str, context: Path) -> str:
        tag = f"dlenv-bench/{context.name}:{uuid.uuid4().hex[:8]}"
        (context / "Dockerfile").write_text(dockerfile.format(image=self.image))
        self.stack.callback(self._remove, tag)
        build = self.engine.images.build
        await asyncio.to_thread(build, path=str(context), tag=tag, rm=True, forcerm=True)
        return tag

    def _remove(self, tag: str) -> None:
        """Remove an image, and the containers that were left to run of it."""
        with contextlib.suppress(docker.errors.NotFound):
            for container in self.engine.api.containers(all=True, filters={"ancestor": tag}):
                with contextlib.suppress(docker.errors.APIError):
                    self.engine.api.remove_container(container["Id"], force=True)
            self.engine.images.remove(tag, force=True)


def _run(*command: str) -> None:
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        stdin=subprocess.DEVNULL,
    )


def _reason(error: BaseException, log: Path) -> str:
    """Return on one line what they or the engine said."""
    text = str(error)
    if isinstance(error, subprocess.CalledProcessError):
        text = error.stderr
    elif isinstance(error, HTTPClientError):
        # What the server answers is only that something went wrong.
        text = f"{text}; " + "".join(
            re.findall(r"\n *(\w+(?:Error|Exception): .*)", log.read_text())[-1:]
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or ['nothing was said'])[-1]:.300}"
