"""Environments with SSH in a directory of their own, and clients that are configured by us."""

from __future__ import annotations

import asyncio
import signal
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from jupyter_dlenv.access.client import host_block
from jupyter_dlenv.access.ssh import SshSettings
from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.errors import DlenvError
from jupyter_dlenv.kernels.link import AgentLink
from jupyter_dlenv.labels import ROLE
from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.policy import Policy
from jupyter_dlenv.reach import ssh_target

from .ssh import Client

USER = Caller(uid=1234, gid=1234, name="alice")


class Home:
    """The environments of one owner in a directory; opened anew for each piece of work."""

    def __init__(self, owner, directory, **settings):
        self.owner = owner
        self.directory = directory
        self.settings = SshSettings(**settings)

    def do(self, work, *, through=lambda engine: engine):
        async def opened():
            environments = Environments(
                through(open_engine("docker", data_dir=self.directory / "data")),
                owner=self.owner,
                caller=USER,
                policy=Policy(),
                data_dir=self.directory / "data",
                runtime_dir=self.directory / "run",
                ssh=self.settings,
            )
            try:
                return await work(environments)
            finally:
                await environments.aclose()

        return asyncio.run(opened())

    def launch(self, image, name="a", *, through=lambda engine: engine, **fields):
        spec = EnvironmentSpec(name=name, image=image, **fields)
        return self.do(lambda environments: environments.launch(spec), through=through)

    def client(self, name="a", *, write=host_block, before="", **arguments):
        """Return a client whose configuration is what we write for it."""
        target = self.do(lambda environments: ssh_target(environments, name))
        config = self.directory / f"config-{uuid.uuid4().hex[:6]}"
        config.write_text(before + write(target, **arguments))
        return Client(config, target.alias, self.directory)

    def remove_all(self):
        async def work(environments):
            for environment in await environments.list():
                with suppress(DlenvError):
                    await environments.remove(environment.name)

        self.do(work)


class OfflineWhilePreparing:
    """A real engine whose containers for preparing an image have no network."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def create(self, plan):
        network = plan.labels.get(ROLE) != "probe"
        return await self._engine.create(replace(plan, network=plan.network and network))


async def kill_a_kernel(environments, name="a"):
    environment = await environments.get(name)
    link = await AgentLink.connect(Path(environment.runtime_dir), timeout=5)
    await link.start_kernel("k", key="k", env={}, cwd="/")
    await link.signal("k", signal.SIGKILL)
    await asyncio.wait_for(link.exited("k"), 20)
    await link.aclose()
