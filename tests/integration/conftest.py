"""Fixtures that open ``Environments`` on each engine, and remove at the end what was launched."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from contextlib import suppress
from dataclasses import replace
from importlib import resources

import jsonschema
import pytest
from rig.gpu_host import FakeReader, hook_directory, let_the_engine_have_gpus
from rig.nvml import FakeDriver, FakeNvml, build

from jupyter_dlenv.cli import main
from jupyter_dlenv.engines import open_engine
from jupyter_dlenv.environments import Environments
from jupyter_dlenv.errors import DlenvError
from jupyter_dlenv.models import EnvironmentSpec, Mount
from jupyter_dlenv.plan import Caller
from jupyter_dlenv.policy import Policy


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def engine_name(request):
    if request.param == "docker":
        request.getfixturevalue("docker_engine_url")
        request.getfixturevalue("images").ensure("kernel")
    return request.param


@pytest.fixture
def owner(run_id):
    """Name an owner of this test's own: what it lists is what it made."""
    return f"{run_id}-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def open_environments(engine_name, owner, tmp_path, jp_asyncio_loop):
    """Return a function that opens environments; each call stands for one process."""
    opened = []

    def open_one(**changes):
        arguments = {
            "owner": owner,
            "caller": Caller.current(),
            "policy": Policy(),
            "data_dir": tmp_path / "data",
            "runtime_dir": tmp_path / "run",
            # Every test of kernels has to pass over a stream, too.
            "streamed": os.environ.get("DLENV_TEST_STREAMED") == "1",
        }
        engine = open_engine(engine_name, data_dir=tmp_path / "data")
        environments = Environments(engine, **{**arguments, **changes})
        opened.append(environments)
        return environments

    async def close():
        for environments in opened:
            for environment in await environments.list():
                with suppress(DlenvError):
                    await environments.remove(environment.name)
            await environments.aclose()

    yield open_one
    jp_asyncio_loop.run_until_complete(close())


@pytest.fixture
def configured(owner, tmp_path, jp_config_dir, jp_environ):
    """Write the configuration by which a kernel manager finds this test's environments."""
    values = {
        "owner": owner,
        "data_dir": str(tmp_path / "data"),
        "runtime_dir": str(tmp_path / "run"),
    }
    jp_config_dir.joinpath("jupyter_dlenv_config.json").write_text(
        json.dumps({"Configuration": values})
    )


@pytest.fixture
def environments(open_environments):
    return open_environments()


@pytest.fixture
def docker_environments(open_environments, engine_name):
    """Return ``open_environments`` where the engine runs images."""
    if engine_name == "process":
        pytest.skip("A plain process has no container of its own.")
    return open_environments


@pytest.fixture
def spec(engine_name):
    image = "dlenv-test/kernel" if engine_name == "docker" else "python"
    return EnvironmentSpec(name="a", image=image)


@pytest.fixture(scope="session")
def schema():
    """Return the documented schema of what the command line prints with ``--json``."""
    return json.loads((resources.files("jupyter_dlenv.cli") / "schema.json").read_text())


@pytest.fixture
def project(engine_name, owner, environments, tmp_path, monkeypatch):
    """Return a current directory; the command line there sees what ``environments`` sees."""
    settings = {
        "engine": engine_name,
        "owner": owner,
        "data_dir": str(tmp_path / "data"),
        "runtime_dir": str(tmp_path / "run"),
    }
    configuration = tmp_path / "cli" / "jupyter_dlenv_config.json"
    configuration.parent.mkdir()
    configuration.write_text(json.dumps({"Configuration": settings}), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(configuration.parent))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def image(spec):
    return spec.image


@pytest.fixture
def run(project, capfd):
    """Return a function that runs a command in this process: no terminal, no input."""

    def run_one(*words):
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    return run_one


@pytest.fixture
def run_json(run, schema):
    """Return a function that checks a command's output against the documented schema."""

    def run_one(*words):
        done = run(*words, "--json")
        result = json.loads(done.stdout)
        jsonschema.validate(result, schema)
        return done.returncode, result

    return run_one


@pytest.fixture
def launched(project, environments, spec, jp_asyncio_loop):
    """Return the name of an environment that runs, with the project mounted."""
    mount = Mount(source=str(project), target=str(project))
    spec = replace(spec, mounts=(mount,), workdir=str(project))
    return jp_asyncio_loop.run_until_complete(environments.launch(spec)).name


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(library, tmp_path):
    """Return the driver of this machine: what it is told to be, at any moment."""
    fake = FakeNvml(library, tmp_path)
    fake.configure(FakeDriver(nvlinks=[(0, 1), (2, 3), (4, 5), (6, 7)]))
    return fake


@pytest.fixture
def open_on_gpus(open_environments, driver, engine_name, monkeypatch, request):
    """Return ``open_environments`` on a machine with eight GPUs."""
    if engine_name == "docker":
        let_the_engine_have_gpus(request.getfixturevalue("docker_engine_url"))
        monkeypatch.setenv("PATH", hook_directory(), prepend=os.pathsep)
    readers = []

    def reader():
        readers.append(FakeReader(driver))
        return readers[-1]

    yield lambda **changes: open_environments(gpu_reader=reader, **changes)
    for each in readers:
        each.end()


@pytest.fixture
def on_gpus(open_on_gpus):
    return open_on_gpus()
