"""What all tests share: isolation, the engine, its images, a registry, and the two inspections.

The inspections: no async test may hold the event loop for more than 0.25 s, and no run of
the tests may leave a container, volume or network behind.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from rig import ask, engine, hub, shell
from rig import registry as registries
from rig.images import Images
from rig.loop_watch import LoopWatch

pytest_plugins = ("pytest_jupyter.jupyter_server", "rig.ngc")

#: Everything that the tests make on an engine carries it, with the run's id.
TEST_LABEL = "org.jupyter-dlenv.test"
LONGEST_STANDSTILL = 0.25


#: In this order: one process begins with the browser's tests, the other with the engine's; who
#: is done first goes on with the next.
_GROUPS = ("browser", "engine", "shared", "")
_OTHER_ENGINES = frozenset({"engine_oldest", "engine_like_29"})


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what runs in one process, one after another, when `make test` takes two.

    Tests of the engine share its GPUs and count what is on it; some do neither and are beside
    them, as are those of other engines, whose networks come when no browser is there to mind.
    """
    for item in items:
        if "docker_engine_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.docker)
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (_GROUPS.index(_group(item)), _lateness(item)))


def _group(item: pytest.Item) -> str:
    """Return the group of a test; none of those that need neither a browser nor an engine."""
    if item.get_closest_marker("browser"):
        return "browser"
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    parameters = {value for value in values if isinstance(value, str)}
    if _OTHER_ENGINES & {*parameters, *getattr(item, "fixturenames", ())}:
        return "shared"
    needs_engine = item.get_closest_marker("docker") or item.get_closest_marker("owned_engine")
    apart = "process" in parameters or item.path.parent.name in ("unit", "server")
    if apart and not needs_engine:
        return ""
    return "shared" if item.get_closest_marker("shares_engine") else "engine"


def _lateness(item: pytest.Item) -> int:
    """Return when a test's turn comes in its group."""
    if item.get_closest_marker("owned_engine"):
        # When nobody else is left at the engine: they stop what others use.
        return 2
    # All GPUs are theirs, when the browser's tests, of which some take two, have long been done.
    return int(item.path.name.startswith(("test_gpu_", "test_lease_")))


def _check_group() -> None:
    """Fail a test that asks for an engine, and of which nothing says so."""
    running = os.environ.get("PYTEST_CURRENT_TEST", "")
    if os.environ.get("PYTEST_XDIST_WORKER") and "@" not in running:
        pytest.fail(f"{running} needs an engine: mark it with `docker`.")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Fail every async test in which the event loop stood still for more than 0.25 s."""
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = _watched(pyfuncitem.obj)
    return (yield)


def _watched(test):
    @functools.wraps(test)
    async def watched(**arguments):
        async with LoopWatch() as watch:
            await test(**arguments)
        if watch.longest.seconds > LONGEST_STANDSTILL:
            pytest.fail(
                f"The event loop stood still for {watch.longest.seconds:.2f} s"
                f" (limit {LONGEST_STANDSTILL} s):\n{watch.longest.stack}"
            )

    return watched


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give each test its directory, with a path that leaves room for unix sockets.

    Their limit is 107 characters, and pytest's own directories spend most of that.
    """
    directory = Path(tempfile.mkdtemp(prefix="dl-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def isolated_home(
    jp_environ: None,
    jp_home_dir: Path,
    tmp_path: Path,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Hide the home directory, the Jupyter directories and the logins of whoever runs the tests.

    The run owns the environments that are launched, through whatever door.
    """
    monkeypatch.setenv("JUPYTERHUB_USER", run_id)
    for variable, directory in (
        ("XDG_RUNTIME_DIR", tmp_path / "xdg"),
        ("XDG_CONFIG_HOME", jp_home_dir / ".config"),
        ("XDG_DATA_HOME", jp_home_dir / ".local/share"),
        ("XDG_CACHE_HOME", jp_home_dir / ".cache"),
        ("DOCKER_CONFIG", jp_home_dir / ".docker"),
    ):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        monkeypatch.setenv(variable, str(directory))
    return jp_home_dir


@dataclass(frozen=True)
class User:
    uid: int
    gid: int


@pytest.fixture(scope="session")
def other_user() -> User:
    """Name an unprivileged user who is not the one that runs the tests.

    Who asks for it starts processes as that user, which only root can do.
    """
    if os.getuid() != 0:
        pytest.skip("Only root can act as another user.")
    return User(uid=1234, gid=1234)


@pytest.fixture(scope="session")
def run_id() -> str:
    """Name this run of the tests; what it makes on an engine carries it as a label."""
    return f"run-{uuid.uuid4().hex[:8]}"


def _missing(reason: str) -> None:
    """Skip on a developer's machine; in CI a test that silently did not run is a failure."""
    if os.environ.get("CI") or os.environ.get("DLENV_REQUIRE_DOCKER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_engine_url(run_id: str) -> Iterator[str]:
    """Return the URL of the Docker engine, and inspect at the end what was left on it.

    ``DOCKER_HOST`` is set to it for the whole run: the tests' home hides Docker contexts.
    """
    _check_group()
    url = ask.answering_url()
    if url is None:
        _missing("No Docker engine answers; `make engine-up` starts one.")
        return
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DOCKER_HOST", url)
        yield url
    left_behind = _remove_everything_of(run_id, url)
    if left_behind:
        pytest.fail("The tests left behind (now removed): " + ", ".join(left_behind))


def _remove_everything_of(run_id: str, url: str) -> list[str]:
    left_behind = []

    def is_ours(labels: dict[str, str] | None) -> bool:
        # Tests that need an owner of their own begin its name with the run's id.
        names = (TEST_LABEL, "org.jupyter-dlenv.owner")
        return any((labels or {}).get(name, "").startswith(run_id) for name in names)

    with contextlib.closing(docker.DockerClient(base_url=url, timeout=60)) as client:
        for container in client.containers.list(all=True, sparse=True, ignore_removed=True):
            if is_ours(container.attrs["Labels"]):
                left_behind.append(f"container {container.attrs['Names'][0]}")
                with contextlib.suppress(docker.errors.NotFound):
                    container.remove(force=True, v=True)
        for volume in client.volumes.list():
            if is_ours(volume.attrs["Labels"]):
                left_behind.append(f"volume {volume.name}")
                volume.remove(force=True)
        for network in client.networks.list():
            if is_ours(network.attrs["Labels"]):
                left_behind.append(f"network {network.name}")
                network.remove()
    return left_behind


@pytest.fixture(scope="session")
def hub_proxy() -> None:
    """Get JupyterHub's proxy."""
    if not hub.proxy():
        _missing("There is no npm to install JupyterHub's proxy with.")


@pytest.fixture(scope="session")
def engine_owned(docker_engine_url: str) -> bool:
    """Tell whether the tests may stop, fill or reconfigure the engine."""
    return bool(os.environ.get("CI")) or engine.started_by_rig(docker_engine_url)


@pytest.fixture(scope="session")
def images(docker_engine_url: str) -> Images:
    """Return the test images; asking for one by name builds it if the engine lacks it."""
    return Images(docker_engine_url)


@pytest.fixture(scope="session")
def registry(images: Images) -> Iterator[registries.Registry]:
    """Run a registry on loopback that lets everybody in."""
    with _registry(images) as running:
        yield running


@pytest.fixture(scope="session")
def private_registry(images: Images) -> Iterator[registries.Registry]:
    """Run a registry on loopback that wants a login."""
    with _registry(images, login=registries.LOGIN) as running:
        yield running


@contextlib.contextmanager
def _registry(images: Images, login: registries.Login | None = None):
    try:
        program = registries.get()
    except (OSError, subprocess.CalledProcessError) as error:
        _missing(f"There is no registry to test with: {error}")
        return
    with registries.serve(program, login) as running:
        running.push(images.client, images.ensure("tiny"), "team/tiny:1")
        yield running


def _second_engine(profile: str) -> Iterator[engine.Running]:
    _check_group()
    reason = engine.why_not(profile)
    if reason:
        pytest.skip(reason)
    with engine.running(profile) as second:
        yield second


@pytest.fixture(scope="session")
def engine_like_29() -> Iterator[engine.Running]:
    """Run an engine that refuses old clients and keeps images in containerd, as Docker 29 does."""
    yield from _second_engine("like-29")


@pytest.fixture(scope="session")
def engine_oldest() -> Iterator[engine.Running]:
    """Run the oldest engine that we support: Debian 12's own Docker 20.10."""
    yield from _second_engine("oldest")


@pytest.fixture(scope="session")
def engine_live() -> Iterator[engine.Running]:
    """Run an engine whose containers outlive it."""
    yield from _second_engine("live")


@dataclass(frozen=True)
class TinyEngine:
    """An engine with a disk of its own, and an image on it."""

    url: str
    image: str
    disk: Path

    def fill(self) -> None:
        """Leave no room: the disk is made as small as what is on it."""
        figures = os.statvfs(self.disk)
        used = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
        shell.run("mount", "-o", f"remount,size={used}", str(self.disk))


@pytest.fixture
def engine_tiny(images: Images) -> Iterator[TinyEngine]:
    """Run an engine whose disk can be filled; a new one for each test."""
    for second in _second_engine("tiny"):
        image = Images(second.url, source=images).ensure("bare")
        yield TinyEngine(second.url, image, second.data_root)
