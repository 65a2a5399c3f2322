"""SSH into environments: each way in, each kind of image, after each kind of mishap."""

from __future__ import annotations

import asyncio
import getpass
import io
import json
import os
import re
import shlex
import shutil
import socket
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from rig import ssh
from rig.ssh_home import Home, OfflineWhilePreparing, kill_a_kernel

from jupyter_dlenv.access.client import host_block, laptop_block
from jupyter_dlenv.errors import PortTakenError
from jupyter_dlenv.images.recipe import prepared_tag
from jupyter_dlenv.models import EnvironmentSpec, Phase, PortMapping
from jupyter_dlenv.reach import authorize, ssh_target

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not all(map(shutil.which, ("ssh", "scp", "sftp", "rsync", "ssh-agent"))),
        reason="SSH's programs are missing: python -m rig.tools ssh",
    ),
]
VARIABLES = {
    "NASTY": 'a "b" \'c\' \\d #e $f `g` %h * > {"i": [1, 2]}  ü ',
    "LD_LIBRARY_PATH": "/usr/local/cuda/lib64:/opt/lib",
    "EMPTY": "",
}


@pytest.fixture(scope="module")
def make_home(run_id, docker_engine_url, new_image):
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
    home.launch(images.ensure("ssh"), env=VARIABLES)
    return home


def test_everything_works_through_the_published_port(home):
    ssh.battery(home.client())


@pytest.mark.slow
def test_everything_works_through_the_engine_without_any_port(home):
    """Worth its time: the only way on hosts where nothing may listen."""
    ssh.battery(home.client(through_stream=True))


@pytest.mark.slow
def test_everything_works_through_a_second_machine(home):
    """Worth its time: how most people come in, from a laptop by way of the GPU machine.

    The second machine is another sshd on this one, which the laptop's block jumps through.
    """
    key = ssh.make_key(home.directory / "laptop")
    home.do(lambda environments: authorize(environments, "a", (key,)))
    with ssh.plain_sshd(home.directory, key) as port:
        before = ssh.laptop_settings(home.directory, port, getpass.getuser())
        ssh.battery(home.client(write=laptop_block, before=before, via="gpuhost"))


@pytest.fixture(autouse=True)
def no_agent(monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.mark.slow
def test_an_image_without_a_server_gets_its_distribution_s(make_home, images):
    """Worth its time: what most images need; packages are fetched and an image is built."""
    home = make_home()
    home.launch(images.ensure("kernel"))
    client = home.client()

    for check in (*ssh.SHORT, ssh.rsync):
        check(client)

    assert b"/usr/sbin/sshd" in client.run("command -v /usr/sbin/sshd; ls /etc/ssh")
    assert b"ssh_host" not in client.run("ls /etc/ssh")


@pytest.mark.slow
def test_an_image_without_a_server_or_a_network_gets_this_machine_s(make_home, new_image):
    """Worth its time: the server has to work in a system that was not made for it."""
    home = make_home()
    home.launch(new_image("kernel"), through=OfflineWhilePreparing)

    ssh.battery(home.client())
    ssh.scp_and_sftp(home.client(through_stream=True))

    assert b"carried" in home.client().run("test -e /usr/sbin/sshd || echo carried")


@pytest.mark.parametrize("user", ["root", "image"])
def test_the_server_lets_in_whoever_the_environment_runs_as(make_home, new_image, user):
    home = make_home()
    home.launch(new_image("ssh", "RUN useradd -m -u 1000 ubuntu\nUSER ubuntu"), user=user)
    name = {"root": b"root 0\n", "image": b"ubuntu 1000\n"}[user]

    assert name == home.client().run('echo "$(id -un) $(id -u)"')
    assert name == home.client(through_stream=True).run('echo "$(id -un) $(id -u)"')


def test_an_environment_is_ready_when_its_server_listens(make_home, new_image):
    home = make_home()
    slow = (
        "RUN mv /usr/sbin/sshd /usr/sbin/sshd.real && printf '%s\\n' '#!/bin/sh' "
        "'case \"$*\" in *-D*) sleep 1.5;; esac' 'exec /usr/sbin/sshd.real \"$@\"' "
        "> /usr/sbin/sshd && chmod +x /usr/sbin/sshd"
    )
    home.launch(new_image("ssh", slow))

    home.client().run("true")


def test_every_kind_of_session_has_the_variables_of_the_environment(home):
    client = home.client()
    show = "import os, json; print(json.dumps({k: os.environ.get(k) for k in %r}))"
    names = [*VARIABLES, "PATH", "DLENV_ENVIRONMENT", "NVIDIA_VISIBLE_DEVICES"]
    command = f"python3 -c {shlex.quote(show % names)}"

    plain = json.loads(client.run(command))
    login = json.loads(client.run(f"bash -lc {shlex.quote(command)}"))

    assert VARIABLES == {name: plain[name] for name in VARIABLES}
    assert plain["PATH"].startswith("/home/dlenv/.local/bin:")
    assert ("a", "void") == (plain["DLENV_ENVIRONMENT"], plain["NVIDIA_VISIBLE_DEVICES"])
    assert plain == login


def test_ssh_goes_on_after_a_restart_and_after_the_deaths_of_kernel_and_server(home):
    client = home.client()
    before = home.do(lambda environments: environments.get("a"))

    after = home.do(lambda environments: environments.restart("a"))
    client.run("true")
    home.do(kill_a_kernel)
    client.run("true")
    client.try_to("kill -9 $(pgrep -o sshd)")
    until_it_works(client)

    assert before.ssh_port == after.ssh_port > 0
    home.client(through_stream=True).run("true")


def test_the_environment_can_be_restarted_behind_our_back(home, images):
    client = home.client()
    environment = home.do(lambda environments: environments.get("a"))

    images.client.containers.get(environment.container_id).restart(timeout=5)

    until_it_works(client)


def test_strangers_and_impostors_are_refused(home, images):
    client = home.client()
    text = client.config.read_text()
    home.launch(images.ensure("ssh"), name="b")
    impostor = home.client("b").config.read_text()
    known = re.compile(r"UserKnownHostsFile .*")
    key = re.compile(r"IdentityFile .*")
    ssh.make_key(home.directory / "stranger")

    def refused(changed, *options):
        config = home.directory / "refused"
        config.write_text(changed)
        done = ssh.Client(config, "dlenv-a", home.directory).try_to("true", options=options)
        assert done.returncode == 255
        return done.stderr

    wrong_host = refused(known.sub(known.search(impostor)[0], text).replace(
        "HostKeyAlias dlenv-a", "HostKeyAlias dlenv-b"))  # fmt: skip
    unknown_key = refused(key.sub(f"IdentityFile {home.directory}/stranger", text))
    neighbour = refused(key.sub(key.search(impostor)[0], text))
    no_key = refused(text, "-o", "PreferredAuthentications=password,keyboard-interactive")
    root = refused(text.replace("User alice", "User root"))

    assert b"verification failed" in wrong_host
    for denied in (unknown_key, neighbour, no_key, root):
        assert b"Permission denied (publickey)" in denied
    client.run("true")


def test_no_secret_is_in_what_the_engine_knows(home, images):
    environment = home.do(lambda environments: environments.get("a"))
    target = home.do(lambda environments: ssh_target(environments, "a"))
    container = images.client.containers.get(environment.container_id)
    secret = (target.directory / "host_ed25519").read_text().splitlines()[2]

    known = json.dumps(container.attrs) + json.dumps(container.image.attrs)
    layers = [change["Path"] for change in container.diff()]

    assert secret not in known
    assert not [path for path in layers if "ssh-host-key" in path or "authorized" in path]
    listed = home.client().run("stat -c '%a %u' /run/dlenv/ssh-host-key")
    assert b"600 1234\n" == listed


def test_each_environment_keeps_a_port_of_its_own(make_home, images):
    first = ssh.free_port()
    home = make_home(first_port=first)
    image = images.ensure("ssh")

    with socket.create_server(("127.0.0.1", first)):
        a = home.launch(image)
    home.do(lambda environments: environments.stop("a"))
    b = home.launch(image, "b", through=PortThief)
    stopped = home.do(lambda environments: environments.get("a"))
    home.do(lambda environments: environments.start("a"))

    assert first < a.ssh_port == stopped.ssh_port
    assert b.ssh_port not in (0, first, a.ssh_port, PortThief.stolen)
    home.client("a").run("true")
    home.client("b").run("true")


def test_ports_that_were_taken_while_the_environment_was_stopped_are_named(make_home, images):
    home = make_home(first_port=ssh.free_port())
    key = ssh.make_key(home.directory / "laptop")
    published = PortMapping(host_port=ssh.free_port(), container_port=80)
    spec = EnvironmentSpec(name="a", image=images.ensure("ssh"), ports=(published,))
    before = home.do(lambda environments: environments.launch(spec, authorize=(key,)))
    home.do(lambda environments: environments.stop("a"))

    def start():
        with pytest.raises(PortTakenError) as taken:
            home.do(lambda environments: environments.start("a"))
        return taken.value

    with socket.create_server(("127.0.0.1", published.host_port)):
        of_the_user = start()
    with socket.create_server(("127.0.0.1", before.ssh_port)):
        of_ssh = start()
        after = home.do(lambda environments: environments.recreate("a"))
        own = str(home.directory / "laptop")
        # The key that was given at launch is kept as well.
        home.client(
            write=lambda target: host_block(target).replace(
                str(target.directory / "id_ed25519"), own
            )
        ).run("true")

    assert f"(process {os.getpid()})" in str(of_ssh)
    assert "by which SSH gets into 'a'" in str(of_ssh)
    assert "jupyter dlenv recreate a" in of_ssh.hint
    assert f"Port {published.host_port}, which 'a' publishes" in str(of_the_user)
    assert after.ssh_port not in (0, before.ssh_port)


def test_without_a_port_there_is_still_a_way_in(make_home, images):
    home = make_home(first_port=0)
    environment = home.launch(images.ensure("ssh"))

    client = home.client()

    assert (0, ()) == (environment.ssh_port, environment.ports)
    assert "ProxyCommand env" in client.config.read_text()
    client.run("true")


def test_a_removed_environment_leaves_no_key(make_home, images):
    home = make_home()
    home.launch(images.ensure("ssh"))
    keys = home.directory / "data" / "ssh"
    made = [file.name for file in keys.rglob("*_ed25519")]

    home.do(lambda environments: environments.remove("a"))

    assert ["host_ed25519", "id_ed25519"] == sorted(made)
    assert ["ports.lock"] == [file.name for file in keys.iterdir()]


def test_a_launch_that_is_cancelled_leaves_no_key(make_home, images):
    home = make_home()
    spec = EnvironmentSpec(name="a", image=images.ensure("ssh"))
    keys = home.directory / "data" / "ssh"
    seen = []

    async def launch_and_cancel(environments):
        starting = asyncio.Event()
        launch = asyncio.ensure_future(
            environments.launch(
                spec, report=lambda p: starting.set() if p.phase is Phase.STARTING else None
            )
        )
        await asyncio.wait_for(starting.wait(), 60)
        seen.extend(file.name for file in keys.rglob("*_ed25519"))
        launch.cancel()
        with suppress(asyncio.CancelledError):
            await launch

    home.do(launch_and_cancel)

    assert ["host_ed25519", "id_ed25519"] == sorted(seen)
    assert ["ports.lock"] == [file.name for file in keys.iterdir()]


class PortThief:
    """A real engine on whose host somebody takes the first port that was chosen."""

    stolen = 0

    def __init__(self, engine):
        self._engine = engine
        self._socket = None

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def create(self, plan):
        if self._socket is None:
            PortThief.stolen = plan.ports[-1].host_port
            self._socket = socket.create_server(("127.0.0.1", PortThief.stolen))
        return await self._engine.create(plan)

    async def aclose(self):
        self._socket.close()
        await self._engine.aclose()


def until_it_works(client):
    end = time.monotonic() + 20
    while client.try_to("true").returncode:
        assert time.monotonic() < end, client.try_to("true").stderr


@pytest.fixture(scope="module")
def new_image(images):
    """Return a function that builds an image nobody has prepared; all go at the end."""
    made = []

    def build(base, lines=""):
        text = f"FROM {images.ensure(base)}\n{lines}\nLABEL unique={uuid.uuid4()}\n"
        image, _ = images.client.images.build(fileobj=io.BytesIO(text.encode()), rm=True)
        made.append(image.id)
        return image.id

    yield build
    for image_id in made:
        for reference in (prepared_tag(image_id, sshd=True), image_id):
            with suppress(docker.errors.ImageNotFound):
                images.client.images.remove(reference, force=True)
