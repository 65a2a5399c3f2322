"""SSH into environments: each way in, each kind of image, after each kind of mishap."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from rig import ssh

from jupyter_dlenv.access.client import host_block, laptop_block
from jupyter_dlenv.access.ssh import SshSettings
from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.errors import DlenvError
from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.policy import Policy
from jupyter_dlenv.reach import authorize, ssh_target

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not all(map(shutil.which, ("ssh", "scp", "sftp", "rsync", "ssh-agent"))),
        reason="SSH's programs are missing: python -m rig.tools ssh",
    ),
]
USER = Caller(uid=1234, gid=1234, name="alice")


class Home:
    """The environments of one owner in a directory; opened anew for each piece of work."""

    def __init__(self, owner, directory, **settings):
        self.owner = owner
        self.directory = directory
        self.settings = SshSettings(**settings)

    def do(self, work):
        async def opened():
            environments = Environments(
                open_engine("docker", data_dir=self.directory / "data"),
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

    def launch(self, image, name="a", **fields):
        spec = EnvironmentSpec(name=name, image=image, **fields)
        return self.do(lambda environments: environments.launch(spec))

    def client(self, name="a", *, write=host_block, before="", **arguments):
        """Return a client whose configuration is what we write for it."""
        target = self.do(lambda environments: ssh_target(environments, name))
        config = self.directory / f"config-{uuid.uuid4().hex[:6]}"
        config.write_text(before + write(target, **arguments))
        return ssh.Client(config, target.alias, self.directory)

    def remove_all(self):
        async def work(environments):
            for environment in await environments.list():
                with suppress(DlenvError):
                    await environments.remove(environment.name)

        self.do(work)


@pytest.fixture(scope="module")
def make_home(run_id, docker_engine_url):
    homes = []

    def make(**arguments):
        directory = Path(tempfile.mkdtemp(prefix="dl-", dir="/tmp"))
        homes.append(Home(f"{run_id}-{uuid.uuid4().hex[:6]}", directory, **arguments))
        return homes[-1]

    yield make
    for home in homes:
        home.remove_all()
        shutil.rmtree(home.directory)


@pytest.fixture(scope="module")
def home(make_home, images):
    """Launch one environment from an image with a server."""
    home = make_home()
    home.launch(images.ensure("ssh"), env={"NASTY": 'a "b" \'c\' \\d #e $f %g > {"h": 1}'})
    return home


def test_everything_works_through_the_published_port(home):
    ssh.battery(home.client())


def test_everything_works_through_the_engine_without_any_port(home):
    ssh.battery(home.client(write=host_block, through_stream=True))


def test_everything_works_through_a_second_machine(home):
    """The second machine is another sshd on this one, which the laptop's block jumps through."""
    key = ssh.make_key(home.directory / "laptop")
    home.do(lambda environments: authorize(environments, "a", (key,)))
    with ssh.plain_sshd(home.directory, key) as port:
        # What a laptop has anyway: its key, and a host that it knows.
        before = (
            f"Host *\n  IdentityFile {home.directory / 'laptop'}\n"
            f"Host gpuhost\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  UserKnownHostsFile {home.directory / 'plain-known'}\n"
        )
        ssh.battery(home.client(write=laptop_block, before=before, via="gpuhost"))


@pytest.fixture(autouse=True)
def no_agent(monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
