"""The doctor meets real symptoms: of engines, hooks, drivers, registries and environments."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from importlib import resources
from pathlib import Path

import docker
import jsonschema
import pytest
from docker.types import DeviceRequest
from rig import engine as engines
from rig import registry_image
from rig.ngc import REPOSITORY
from rig.nvml import MIB, FakeDriver, FakeGpu, FakeNvml, build, gpu_uuid
from rig.profiles import HOOK_VARIABLE, MODERN, SMI_VARIABLE, pretend_gpus

from jupyter_dlenv.doctor.collect import collect
from jupyter_dlenv.doctor.collect_registries import registry_reports
from jupyter_dlenv.doctor.diagnoses import diagnose, explain, explain_failure
from jupyter_dlenv.doctor.diagnoses_environment import G25
from jupyter_dlenv.engines.docker_errors import translated
from jupyter_dlenv.errors import DlenvError, GpuLostError
from jupyter_dlenv.gpu_request import GpuRequest
from jupyter_dlenv.models import Mount

PROGRAM = Path(sys.executable).with_name("jupyter-dlenv")
SCHEMA = json.loads((resources.files("jupyter_dlenv.cli") / "schema.json").read_text())
LABEL = "org.jupyter-dlenv.test"
OLD_LIBRARY = ("nvmlDeviceGetCount_v2",)
LOST = "-dac_override,-dac_read_search"


def run(*words, env=None, wrapper=()):
    return subprocess.run(
        [*wrapper, PROGRAM, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )


def examined(**options):
    """Return the exit code of ``doctor --json``, and its findings by id."""
    done = run("doctor", "--json", **options)
    assert not done.stderr
    result = json.loads(done.stdout)
    jsonschema.validate(result, SCHEMA)
    return done.returncode, {f["id"]: f for f in result["doctor"]["findings"]}


@pytest.fixture
def client(docker_engine_url):
    with contextlib.closing(docker.DockerClient(base_url=docker_engine_url)) as client:
        yield client


@pytest.fixture
def hook(docker_engine_url, tmp_path):
    """Return a function that returns the variable by which NVIDIA's hook fails as one wants."""
    ours = docker_engine_url == MODERN.url and engines.started_by_rig(docker_engine_url)
    if not ours or Path("/dev/nvidiactl").exists():
        pytest.skip("The hook is pretended on the tests' own engine only.")
    # The engine may have been started by an older rig; it reads the hook at each start.
    pretend_gpus(MODERN)

    def fails(stderr, code=1):
        (tmp_path / "stderr").write_text(stderr)
        (tmp_path / "code").write_text(str(code))
        return {HOOK_VARIABLE: str(tmp_path)}

    return fails


def start(client, run_id, image, command=("true",), **options):
    """Return the error with which a container cannot be created or started."""
    made = []
    try:
        with translated(client.api.base_url):
            made.append(
                client.containers.create(image, list(command), labels={LABEL: run_id}, **options)
            )
            made[0].start()
    except DlenvError as error:
        return error
    finally:
        for container in made:
            container.remove(force=True)
    pytest.fail("The container started.")


@pytest.mark.parametrize(
    ("id_", "said"),
    [
        ("G09", "initialization error: nvml error: driver/library version mismatch"),
        ("G10", "initialization error: load library failed: libnvidia-ml.so.1: cannot open"),
        ("G11", "requirement error: unsatisfied condition: cuda>=13.2, please update"),
        ("G11", "ldcache error: process /sbin/ldconfig terminated with signal 9"),
        ("G12", "detection error: nvml error: unknown error"),
        (
            "G13",
            "mount error: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted",
        ),
    ],
)
def test_a_hook_that_fails_is_explained(client, images, run_id, hook, id_, said):
    stderr = f"Auto-detected mode as 'legacy'\nnvidia-container-cli: {said}: unknown\n"

    error = start(
        client,
        run_id,
        images.ensure("bare"),
        environment=hook(stderr),
        device_requests=[DeviceRequest(driver="nvidia", device_ids=["0"], capabilities=[["gpu"]])],
    )

    assert (id_, "gpu-unavailable") == (explain_failure(error).id, error.code)


@pytest.mark.parametrize(
    ("id_", "options"),
    [
        ("G05", {"device_requests": [DeviceRequest(count=1, capabilities=[["gpus"]])]}),
        ("G05", {"device_requests": [DeviceRequest(driver="nvidia", count=1)]}),
        (
            "G07",
            {"device_requests": [DeviceRequest(driver="cdi", device_ids=["nvidia.com/gpu=9"])]},
        ),
        ("G17", {"runtime": "nvidia"}),
    ],
)
def test_an_engine_that_cannot_give_gpus_is_explained(client, images, run_id, id_, options):
    error = start(client, run_id, images.ensure("bare"), **options)

    assert id_ == explain_failure(error).id


@pytest.mark.parametrize(
    ("id_", "options"),
    [
        (
            "G06",
            {"device_requests": [DeviceRequest(driver="cdi", device_ids=["nvidia.com/gpu=0"])]},
        ),
        ("G17", {"runtime": "nvidia"}),
    ],
)
def test_an_old_engine_is_explained(engine_oldest, images, run_id, id_, options):
    with contextlib.closing(docker.DockerClient(base_url=engine_oldest.url)) as old:
        image = type(images)(engine_oldest.url, source=images).ensure("bare")

        error = start(old, run_id, image, **options)

    assert id_ == explain_failure(error).id


@pytest.mark.parametrize("init", [True, False])
def test_a_program_for_another_processor_is_explained(client, images, run_id, init):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        # The head of a program for S/390, which nobody has at hand.
        program = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x16" + bytes(100)
        entry = tarfile.TarInfo("foreign")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    container = client.containers.create(
        images.ensure("bare"), ["/foreign"], labels={LABEL: run_id}, init=init
    )
    try:
        container.put_archive("/", archive.getvalue())
        container.start()
        container.wait(timeout=30)
        log = container.logs().decode()
    finally:
        container.remove(force=True)

    assert "G25" == explain(log).id


class TestAnEngineThatCannotBeUsed:
    def test_there_is_no_socket(self, tmp_path):
        code, found = examined(env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})

        assert (1, "error") == (code, found["E01"]["severity"])

    def test_the_socket_is_somebody_elses(self, other_user, tmp_path):
        path = tmp_path / "locked.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            path.chmod(0o600)
            os.chown(path, other_user.uid, other_user.gid)

            code, found = examined(
                env={"DOCKER_HOST": f"unix://{path}"},
                # Who reads root's Python has to be root, but one that permissions bind.
                wrapper=("setpriv", f"--bounding-set={LOST}", f"--inh-caps={LOST}"),
            )

        assert (1, "error") == (code, found["E02"]["severity"])

    def test_nobody_has_configured_it(self):
        code, found = examined(env={"DLENV_ENGINE": "bogus"})

        assert (1, "There is no engine 'bogus'.") == (code, found["E04"]["title"])

    def test_everything_else_is_examined_all_the_same(self, tmp_path):
        _, found = examined(env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})

        assert {"machine", "parts"} <= set(found)


def test_a_healthy_engine_is_no_error(docker_engine_url):
    code, found = examined()

    assert 0 == code
    assert found["engine"]["title"].startswith("Docker ")


def test_the_board_says_in_words_how_bad_it_is(tmp_path):
    done = run("doctor", env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})

    assert 1 == done.returncode
    assert "Engine\n  ✗ error   No engine answers at" in done.stdout
    assert "→ Start Docker" in done.stdout


def test_certificates_that_are_not_there_and_a_proxy_that_the_engine_lacks(docker_engine_url):
    _, found = examined(
        env={"CURL_CA_BUNDLE": "/no/such.pem", "HTTPS_PROXY": "http://me:secret@127.0.0.1:9"}
    )

    assert "CURL_CA_BUNDLE=/no/such.pem" == found["M04"]["detail"]
    assert "Set here: HTTPS_PROXY." == found["E09"]["detail"]


@pytest.mark.owned_engine
@pytest.mark.slow
def test_a_full_disk_is_seen_before_a_launch_and_explained_after_one(engine_tiny, tmp_path):
    """Worth its time: a full disk is met in practice, and only a real one gives the real texts."""
    engine_tiny.fill()
    env = {"DOCKER_HOST": engine_tiny.url}

    code, found = examined(env=env)
    launched = run("launch", engine_tiny.image, "--name", "a", "--json", env=env)

    assert (1, "error") == (code, found["G24"]["severity"])
    assert "G24" == explain(json.loads(launched.stdout)["error"]["detail"]).id


# Drivers


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def fake(library, tmp_path):
    return FakeNvml(library, tmp_path)


@pytest.mark.parametrize(
    ("id_", "state"),
    [
        ("G01", FakeDriver(init_error=12)),
        ("G02", FakeDriver(init_error=9)),
        ("G03", FakeDriver(init_error=18)),
        ("G04", FakeDriver().with_gpu(3, FakeGpu(lost=True))),
        ("G12", FakeDriver().with_gpu(3, FakeGpu(error=999))),
        ("G26", FakeDriver().with_gpu(3, FakeGpu(used=450 * MIB))),
        # The library of a driver that is older than what is asked of it.
        ("G30", FakeDriver(missing=OLD_LIBRARY)),
    ],
)
def test_a_driver_that_is_ill(fake, docker_engine_url, id_, state):
    fake.configure(state)

    _, found = examined(env=fake.environ)

    assert id_ in found


def test_gpus_that_the_engine_does_not_know_by_name(fake, hook):
    # The engine pretends to know eight.
    fake.configure(FakeDriver(gpus=(FakeGpu(),) * 9))

    _, found = examined(env=_with_programs(fake, nvidia_ctk="echo version 1.17.7"))

    assert f"Missing: {gpu_uuid(8)}." in found["G07"]["detail"]
    assert "nvidia-ctk says 1.17.7." == found["G28"]["detail"]
    assert found["gpus"]["title"].endswith("9 GPUs answer.")


def test_a_compute_mode_and_a_package_that_is_out_of_use(fake, tmp_path):
    metadata = tmp_path / "site/pynvml-13.0.1.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: pynvml\nVersion: 13.0.1\n")
    env = _with_programs(fake, nvidia_smi="echo '3, Exclusive_Process'")

    _, found = examined(env={**env, "PYTHONPATH": str(tmp_path / "site")})

    assert "GPU 3: Exclusive_Process" == found["G27"]["detail"]
    assert "pynvml 13.0.1." == found["G29"]["detail"]


def _with_programs(fake, **programs):
    """Return an environment in which there are programs of these names."""
    directory = fake.library.parent / "-".join(programs)
    directory.mkdir(exist_ok=True)
    for name, line in programs.items():
        program = directory / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    return {**fake.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


# Environments

on_docker = pytest.mark.parametrize("engine_name", ["docker"], indirect=True)


@pytest.fixture
def found_by(tmp_path):
    """Return a function that returns what is found where an environment was launched."""

    async def found(environments, spec=None):
        if spec is not None:
            await environments.launch(spec)
        facts = await collect(
            environments.engine,
            owner=environments.owner,
            runtime_dir=tmp_path / "run",
            data_dir=tmp_path / "data",
            host_ports=(1024, 65535),
            registries=(),
        )
        assert {} == facts.absent
        return {f.id: f for f in diagnose(facts)}

    return found


async def test_an_environment_with_little_shared_memory(docker_environments, spec, found_by):
    found = await found_by(docker_environments(), replace(spec, shm_size=64 * MIB))

    assert "a has 64 MB of shared memory or less." == found["G22"].title


async def test_an_environment_that_is_well(environments, spec, found_by):
    found = await found_by(environments, spec)

    assert not {"G14", "G18", "G21", "G22", "G25"} & set(found)


class Smi:
    """NVIDIA's own program inside: what it says is in a file that both sides see."""

    def __init__(self, directory):
        directory.mkdir()
        self._file = directory / "said"
        #: How an environment is to be launched.
        self.changes = {
            "mounts": (Mount(source=str(directory), target="/smi"),),
            "env": {SMI_VARIABLE: "/smi/said"},
        }

    def says(self, text):
        self._file.write_text(text)


@pytest.fixture
def smi(tmp_path):
    return Smi(tmp_path / "smi")


@on_docker
async def test_an_environment_whose_gpus_never_came(on_gpus, spec, driver, found_by):
    """The engine took the request, and nothing put the devices into the container."""
    # One more than the engine knows by name: the pretended hook is asked, and does nothing.
    driver.configure(FakeDriver(gpus=(FakeGpu(),) * 9))

    found = await found_by(on_gpus, replace(spec, gpus=GpuRequest(devices=("8",))))

    assert "The environment a was promised 1 GPU and sees none." == found["G21"].title


@on_docker
@pytest.mark.parametrize(
    ("id_", "said"),
    [
        ("G14", "Unknown Error"),
        ("G15", "Insufficient Permissions"),
        ("G16", "GPU access blocked by the operating system"),
    ],
)
async def test_an_environment_that_cannot_use_its_gpus(on_gpus, spec, smi, found_by, id_, said):
    """At a launch it is an error that is explained; while it runs, the doctor finds it."""
    wanted = replace(spec, gpus=GpuRequest(devices=("1",)), **smi.changes)
    smi.says(f"Failed to initialize NVML: {said}\n")
    with pytest.raises(GpuLostError) as caught:
        await on_gpus.launch(wanted)

    smi.says(f"GPU 0: Pretended (UUID: {gpu_uuid(1)})\n")
    await on_gpus.launch(wanted)
    smi.says(f"Failed to initialize NVML: {said}\n")
    found = await found_by(on_gpus)

    assert id_ == explain_failure(caught.value).id
    assert "error" == found[id_].severity.value
    assert said in found[id_].detail


@on_docker
async def test_an_environment_that_sees_gpus_without_having_any(on_gpus, spec, found_by):
    """As where NVIDIA's runtime is the default and nobody tells it to hide them."""
    await on_gpus.launch(spec)
    stream = await on_gpus.open_stream("a", ("touch", "/dev/nvidia0"), as_root=True)
    await stream.wait()
    await stream.aclose()

    found = await found_by(on_gpus)

    assert ("error", "/dev/nvidia0") == (found["G18"].severity.value, found["G18"].detail)


@pytest.mark.parametrize(
    ("id_", "said"),
    [
        (
            "G19",
            """ERROR: This container was built for NVIDIA Driver Release 580.95 or later, but
       version 535.183.01 was detected and compatibility mode is UNAVAILABLE.""",
        ),
        (
            "G20",
            "WARNING: Detected a GPU, which is not yet supported in this version of the container",
        ),
        ("G22", "NOTE: The SHMEM allocation limit is set to the default of 64MB."),
    ],
)
async def test_an_entrypoint_that_warns_is_heard(
    docker_environments, spec, images, found_by, tmp_path, id_, said
):
    entrypoint = tmp_path / "nvidia_entrypoint.sh"
    entrypoint.write_text(f'#!/bin/bash\ncat <<"END"\n{said}\nEND\nexec "$@"\n')
    entrypoint.chmod(0o755)
    mount = Mount(source=str(entrypoint), target="/opt/nvidia/nvidia_entrypoint.sh", read_only=True)
    wanted = replace(spec, image=images.ensure("ngc"), mounts=(mount,))

    found = await found_by(docker_environments(), wanted)

    assert said.split("\n")[0][:40] in found[id_].detail


# Registries


async def state_of(host):
    reports = await registry_reports((host,))
    return reports[0].state


async def test_registries_let_in_everybody_or_want_a_login(registry, private_registry):
    assert "open" == await state_of(registry.address)
    assert "login" == await state_of(private_registry.address)


async def test_a_registry_that_is_away():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        assert "unreachable" == await state_of(f"127.0.0.1:{unused.getsockname()[1]}")


@pytest.mark.parametrize(
    ("refusals", "state"), [(0, "open"), (2, "open"), (3, "login")], ids=["at once", "late", "not"]
)
async def test_a_token_for_strangers_is_asked_for_again(refusals, state):
    with _answering(refusals) as address:
        assert state == await state_of(address)


async def test_what_answers_is_no_registry():
    with _answering(0, challenge="") as address:
        assert "odd" == await state_of(address)
    with _answering(0, challenge='Bearer realm="file:///etc/passwd"') as address:
        assert "odd" == await state_of(address)


@contextlib.contextmanager
def _answering(refusals, challenge=None):
    """Run what answers as a registry does that wants a token, and gives it after refusals."""
    left = [refusals]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            token = self.path.startswith("/token")
            refused = not token or left[0] > 0
            left[0] -= token
            body = b'{"token": "t"}'
            self.send_response(401 if refused else 200)
            said = f'Bearer realm="http://{address}/token",service="s"'
            if not token and challenge != "":
                self.send_header("WWW-Authenticate", challenge or said)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join(10)


async def test_an_image_for_other_processors_only_is_explained(docker_engine_url, gate, publish):
    publish("28.01-py3", sizes=())
    name = f"{gate.address}/{REPOSITORY}:28.02-py3"
    registry_image.index(gate.upstream.address, f"{REPOSITORY}:28.01-py3", "28.02-py3", ("s390x",))

    done = await asyncio.to_thread(run, "launch", name, "--name", "a", "--json")

    error = json.loads(done.stdout)["error"]
    assert ("image-not-found", "G25") == (error["code"], explain(error["detail"]).id)
    assert G25.fix in error["hint"]


@pytest.mark.parametrize(("id_", "kind"), [("G23", "private"), ("R01", "away")])
def test_a_pull_that_fails_is_explained(request, docker_engine_url, id_, kind):
    if kind == "private":
        address = request.getfixturevalue("private_registry").address
    else:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"

    done = run("launch", f"{address}/team/secret:1", "--name", "a", "--json")

    error = json.loads(done.stdout)["error"]
    assert id_ == explain(error["detail"]).id
