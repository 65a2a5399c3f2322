"""What every measurement needs: a home of its own, environments in it, and a real server."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.server import Server
from traitlets.config import Config

from jupyter_dlenv.configuration import Configuration
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.models import Environment, EnvironmentSpec


@dataclass
class Setting:
    """A directory that holds everything, and the environments of the measurement."""

    directory: Path
    environments: Environments

    @property
    def log(self) -> Path:
        """What all its servers log."""
        return self.directory / "server.log"

    def server(self, **options) -> Server:
        root = self.directory / "root"
        root.mkdir(exist_ok=True)
        return Server(root, self.log, **options)

    async def launch_streamed(self, name: str, image: str) -> Environment:
        """Launch an environment as if its engine shared no sockets with this machine."""
        settings = Config({"Configuration": {"transport": "stream"}})
        async with aclosing(Configuration.load(config=settings).open()) as environments:
            return await environments.launch(EnvironmentSpec(name=name, image=image))


@asynccontextmanager
async def setting(engine: str) -> AsyncIterator[Setting]:
    """Make a home of its own; at the end nothing of it is left."""
    directory = Path(tempfile.mkdtemp(prefix="dlb-", dir="/tmp"))
    os.environ.update(
        {
            "JUPYTER_CONFIG_DIR": str(directory / "config"),
            "JUPYTER_DATA_DIR": str(directory / "data"),
            "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
            "IPYTHONDIR": str(directory / "ipython"),
            "JUPYTER_ALLOW_INSECURE_WRITES": "1",
            "DLENV_ENGINE": engine,
        }
    )
    values = {
        "owner": f"bench-{directory.name[4:]}",
        "data_dir": str(directory / "d"),
        "runtime_dir": str(directory / "r"),
    }
    (directory / "config").mkdir()
    (directory / "config/jupyter_dlenv_config.json").write_text(
        json.dumps({"Configuration": values})
    )
    try:
        async with aclosing(Configuration.load().open()) as environments:
            try:
                yield Setting(directory, environments)
            finally:
                for environment in await environments.list():
                    await environments.remove(environment.name)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
