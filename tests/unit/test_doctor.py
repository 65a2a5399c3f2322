"""Every diagnosis: the facts that show it, and the words that say it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_dlenv.doctor.diagnoses import (
    DIAGNOSES,
    diagnose,
    explain,
    explain_failure,
    explained,
)
from jupyter_dlenv.doctor.facts import (
    DriverReport,
    EngineReport,
    EnvironmentReport,
    Facts,
    GpuReport,
    MachineReport,
    PartsReport,
    RegistryReport,
    ToolkitReport,
)
from jupyter_dlenv.doctor.finding import Severity
from jupyter_dlenv.errors import (
    EngineError,
    EnvironmentDiedError,
    GpuLostError,
    GPUUnavailableError,
    InvalidSpecError,
    NameTakenError,
    RegistryUnreachableError,
)

TROUBLESHOOTING = Path(__file__).parents[2] / "docs/troubleshooting.md"
#: Of the list that GPUs in containers are known to suffer from.
FROM_THE_FIELD = {f"G{number:02}" for number in range(1, 31)}
UUIDS = ("GPU-11111111", "GPU-22222222")

HEALTHY = Facts(
    engine=EngineReport(
        name="docker",
        kind="docker",
        version="28.5.2",
        os="Ubuntu 24.04",
        kernel="6.8.0",
        architecture="x86_64",
        local=True,
        shares_sockets=True,
        security=("seccomp",),
        cgroup_driver="systemd",
        runtimes=("io.containerd.runc.v2", "nvidia", "runc"),
        default_runtime="runc",
        cdi_dirs=("/etc/cdi", "/var/run/cdi"),
        cdi_devices=tuple(f"nvidia.com/gpu={name}" for name in ("0", "1", *UUIDS, "all")),
        data_root="/var/lib/docker",
        disk_total=10**12,
        disk_free=5 * 10**11,
        started=2000.0,
    ),
    driver=DriverReport(
        state="ok",
        version="580.95.05",
        module="580.95.05",
        cuda="13.0",
        gpus=tuple(
            GpuReport(
                index=index,
                uuid=uuid,
                name="NVIDIA GeForce RTX 4090",
                compute_capability="8.9",
                compute_mode="Default",
            )
            for index, uuid in enumerate(UUIDS)
        ),
    ),
    toolkit=ToolkitReport(
        version="1.18.0",
        programs=("nvidia-ctk", "nvidia-container-runtime-hook", "nvidia-cdi-hook"),
        installed=1000.0,
        no_cgroups=False,
    ),
    environments=(
        EnvironmentReport(
            name="bert",
            image="nvcr.io/nvidia/pytorch:25.10-py3",
            running=True,
            gpus=2,
            shm_size=8 * 1024**3,
            sees=("/dev/nvidia0", "/dev/nvidia1"),
            image_architecture="amd64",
            image_driver="580.95.05",
            image_requires="cuda>=9.0",
            image_capabilities=("8.0", "8.6", "9.0", "10.0", "12.0+PTX"),
        ),
    ),
    registries=(RegistryReport(host="nvcr.io", state="open"),),
    machine=MachineReport(system="Linux", architecture="x86_64", shm_size=8 * 1024**3),
    parts=PartsReport(
        version="1.0.0", python="3.12.3", packages={"docker": "7.1.0"}, front_end="1.0.0"
    ),
)


def engine(**changes):
    return replace(HEALTHY, engine=replace(HEALTHY.engine, **changes))


def driver(**changes):
    return replace(HEALTHY, driver=replace(HEALTHY.driver, **changes))


def gpu(**changes):
    first, *others = HEALTHY.driver.gpus
    return driver(gpus=(replace(first, **changes), *others))


def environment(**changes):
    return replace(HEALTHY, environments=(replace(HEALTHY.environments[0], **changes),))


def machine(**changes):
    return replace(HEALTHY, machine=replace(HEALTHY.machine, **changes))


def parts(**changes):
    return replace(HEALTHY, parts=replace(HEALTHY.parts, **changes))


def toolkit(facts=HEALTHY, **changes):
    return replace(facts, toolkit=replace(facts.toolkit, **changes))


def registry(state, **changes):
    report = RegistryReport(host="nvcr.io", state=state, **changes)
    return replace(HEALTHY, registries=(report,))


def away(code):
    return replace(
        HEALTHY, engine=EngineReport(name="docker", error=code, message="It is.", hint="Try.")
    )


NO_WAY = engine(runtimes=("runc",), cdi_devices=(), cdi_dirs=())
NO_TOOLKIT = ToolkitReport()

#: What the facts show, and how bad it is.
SHOWN = [
    ("G01", "info", driver(state="missing", gpus=())),
    ("G02", "error", driver(state="not-loaded", gpus=())),
    ("G03", "error", driver(state="mismatch", gpus=())),
    ("G03", "error", driver(module="575.57.08")),
    ("G04", "warning", gpu(state="lost", error="GPU is lost")),
    ("G05", "error", toolkit(NO_WAY, programs=())),
    ("G05", "error", toolkit(NO_WAY, installed=3000.0)),
    ("G05", "error", replace(NO_WAY, engine=replace(NO_WAY.engine, os="Docker Desktop"))),
    ("G06", "info", engine(version="24.0.9", cdi_dirs=None, cdi_devices=None)),
    ("G06", "info", engine(version="26.1.5", cdi_dirs=(), cdi_devices=None)),
    ("G07", "warning", engine(cdi_devices=("nvidia.com/gpu=0", "nvidia.com/gpu=1"))),
    ("G07", "warning", engine(cdi_devices=())),
    ("G08", "error", toolkit(engine(version="29.3.1", cdi_devices=()), programs=())),
    ("G09", "error", environment(error="nvidia-container-cli: initialization error: nvml error: "
                                       "driver/library version mismatch: unknown")),
    ("G10", "error", environment(error="initialization error: load library failed: "
                                       "libnvidia-ml.so.1: cannot open shared object file")),
    ("G11", "error", environment(image_requires="cuda>=13.2")),
    ("G12", "warning", gpu(state="error", error="Unknown Error")),
    ("G13", "warning", engine(security=("rootless",), cdi_devices=())),
    ("G14", "error", environment(smi="Failed to initialize NVML: Unknown Error", sees=())),
    ("G14", "info", engine(cdi_devices=())),
    ("G15", "info", engine(security=("selinux",))),
    ("G16", "warning", toolkit(no_cgroups=True)),
    ("G17", "info", engine(runtimes=("runc",), cdi_devices=())),
    ("G18", "info", engine(default_runtime="nvidia")),
    ("G18", "error", environment(gpus=0)),
    ("G19", "warning", environment(image_driver="595.45")),
    ("G20", "warning", gpu(compute_capability="7.5")),
    ("G21", "error", environment(sees=())),
    ("G21", "error", environment(log="WARNING: The NVIDIA Driver was not detected.  GPU …")),
    ("G22", "warning", environment(shm_size=64 * 1024**2)),
    ("G22", "warning", environment(log="NOTE: The SHMEM allocation limit is set to the default "
                                       "of 64MB.  This may be insufficient for PyTorch.")),
    ("G23", "warning", registry("login")),
    ("G23", "info", registry("login", login=True)),
    ("G24", "warning", engine(disk_free=30 * 10**9)),
    ("G24", "error", engine(disk_free=10**9)),
    ("G25", "warning", environment(image_architecture="arm64")),
    ("G26", "warning", gpu(memory_used=450 * 1024**2)),
    ("G27", "info", gpu(compute_mode="Exclusive_Process")),
    ("G28", "warning", toolkit(version="1.17.7")),
    ("G29", "warning", parts(packages={"pynvml": "13.0.1"})),
    ("G30", "warning", driver(state="too-old", gpus=())),
    ("G30", "warning", parts(packages={"pynvml": "11.4.1"})),
    ("E01", "error", away("engine-unreachable")),
    ("E01", "error", away("engine-timeout")),
    ("E02", "error", away("engine-permission")),
    ("E03", "error", away("engine-too-old")),
    ("E04", "error", away("unknown-engine")),
    ("E05", "info", engine(shares_sockets=False)),
    ("E06", "warning", engine(security=("userns",))),
    ("E07", "info", engine(security=("rootless",))),
    ("E08", "warning", engine(forwards_packets=False)),
    ("E09", "warning", machine(proxies=("HTTPS_PROXY",))),
    ("R01", "warning", registry("unreachable")),
    ("R02", "warning", registry("tls")),
    ("R03", "warning", registry("odd")),
    ("M01", "error", machine(runtime_dir_trouble="It belongs to somebody else.")),
    ("M02", "error", machine(data_dir_trouble="You may not write to it.")),
    ("M03", "warning", machine(data_free=1024**2)),
    ("M04", "warning", machine(ca_missing=("SSL_CERT_FILE=/nowhere",))),
    ("M05", "info", machine(ca_own=("SSL_CERT_FILE=/company.pem",))),
    ("M06", "warning", replace(engine(disk_free=None), machine=MachineReport(in_container=True))),
    ("M07", "error", machine(loopback=False)),
    ("M08", "info", replace(engine(security=("rootless",)),
                            machine=MachineReport(host_ports=(80, 65535)))),
    ("M09", "warning", replace(engine(kind="process"), machine=MachineReport(shm_size=2**26))),
    ("P01", "error", parts(unmet=("docker>=7.1 (missing)",))),
    ("P02", "warning", parts(front_end="0.9.0")),
]  # fmt: skip

HOOK = "error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as "
#: What was said when it happened to somebody.
SAID = [
    ("G01", "pynvml.NVMLError_LibraryNotFound: NVML Shared Library Not Found"),
    ("G02", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."),
    ("G03", "Failed to initialize NVML: Driver/library version mismatch"),
    ("G04", "Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error"),
    ("G05", 'could not select device driver "" with capabilities: [[gpu]]'),
    ("G05", 'could not select device driver "nvidia" with capabilities: [[gpu]]'),
    ("G06", 'could not select device driver "cdi" with capabilities: []'),
    ("G07", "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=9"),
    ("G08", "failed to create task for container: AMD CDI spec not found"),
    (
        "G09",
        (
            f"{HOOK}'legacy'\nnvidia-container-cli: initialization error: nvml error: "
            "driver/library version mismatch: unknown"
        ),
    ),
    (
        "G10",
        (
            "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: "
            "cannot open shared object file: no such file or directory: unknown"
        ),
    ),
    (
        "G11",
        (
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4, please "
            "update your driver to a newer version"
        ),
    ),
    ("G11", "nvidia-container-cli: ldcache error: process /sbin/ldconfig failed with error: 1"),
    ("G12", "nvidia-container-cli: detection error: nvml error: unknown error: unknown"),
    (
        "G13",
        (
            "nvidia-container-cli: mount error: failed to add device rules: unable to find any "
            "existing device filters attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) "
            "failed: operation not permitted: unknown"
        ),
    ),
    ("G14", "Failed to initialize NVML: Unknown Error"),
    ("G15", "Failed to initialize NVML: Insufficient Permissions"),
    ("G16", "Failed to initialize NVML: GPU access blocked by the operating system"),
    ("G17", "unknown or invalid runtime name: nvidia"),
    ("G17", "Unknown runtime specified nvidia"),
    (
        "G19",
        (
            "ERROR: This container was built for NVIDIA Driver Release 595.45 or later, but\n"
            "       version 550.54.15 was detected and compatibility mode is UNAVAILABLE."
        ),
    ),
    (
        "G20",
        (
            "WARNING: Detected NVIDIA Tesla P100-PCIE-16GB GPU, which is not yet supported in this "
            "version of the container"
        ),
    ),
    ("G20", "CUDA error: no kernel image is available for execution on the device"),
    ("G22", "RuntimeError: DataLoader worker (pid 42) is killed by signal: Bus error."),
    ("G23", "failed to authorize: failed to fetch anonymous token: unexpected status: 401"),
    ("G23", "unauthorized: authentication required"),
    ("G24", "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"),
    ("G25", "exec /opt/nvidia/nvidia_entrypoint.sh: exec format error"),
    ("G25", "no matching manifest for linux/arm64/v8 in the manifest list entries"),
    ("G27", "CUDA error: all CUDA-capable devices are busy or unavailable"),
    ("G29", "FutureWarning: The pynvml package is deprecated. Please install nvidia-ml-py"),
    ("G30", "pynvml.NVMLLibraryMismatchError: Unversioned function called and …"),
    ("R01", 'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io: no such host'),
    ("R02", 'Get "https://r.acme.io/v2/": x509: certificate signed by unknown authority'),
    ("E01", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."),
    ("E02", "permission denied while trying to connect to the Docker daemon socket"),
    ("E03", "client version 1.41 is too old. Minimum supported API version is 1.44"),
]


def found(facts):
    return {f.id: f for f in diagnose(facts) if f.severity is not Severity.OK}


@pytest.mark.parametrize(("id_", "severity", "facts"), SHOWN)
def test_the_facts_show_it(id_, severity, facts):
    finding = found(facts)[id_]

    assert severity == finding.severity.value
    assert finding.title.endswith(".")
    assert finding.cause or finding.fix


@pytest.mark.parametrize(("id_", "text"), SAID)
def test_the_words_say_it(id_, text):
    finding = explain(f"OCI runtime create failed\n{text}\nand more")

    assert (id_, True) == (finding.id, bool(finding.fix))
    assert finding.detail in text


def test_processes_have_gpus_without_what_containers_need():
    nothing = {"cdi_dirs": (), "cdi_devices": None, "runtimes": (), "cgroup_driver": ""}
    facts = engine(kind="process", version="6.1.0", **nothing)

    assert {} == found(replace(facts, toolkit=ToolkitReport()))


def test_where_all_is_well_nothing_is_found():
    assert {} == found(HEALTHY)


def test_a_machine_without_gpus_has_no_error():
    facts = replace(
        engine(runtimes=("runc",), cdi_devices=()),
        driver=DriverReport(state="missing"),
        toolkit=NO_TOOLKIT,
        environments=(),
    )

    assert ["G01"] == list(found(facts))


def test_gpus_of_this_machine_say_nothing_of_an_engine_elsewhere():
    facts = replace(toolkit(NO_WAY, programs=()), environments=())
    facts = replace(facts, engine=replace(facts.engine, local=False))

    assert {} == found(facts)


def test_what_could_not_be_found_out_is_said_with_the_reason():
    finding = found(replace(HEALTHY, absent={"driver": "It took longer than 8 s."}))["unknown"]

    assert "Nothing is known of the driver." == finding.title
    assert "It took longer than 8 s." == finding.cause


def test_an_environment_without_gpus_may_miss_the_driver():
    facts = environment(gpus=0, sees=(), log="WARNING: The NVIDIA Driver was not detected.")

    assert {} == found(facts)
    assert explain(facts.environments[0].log) is None


def test_data_centre_gpus_run_newer_images():
    facts = driver(
        version="570.26",
        module="570.26",
        gpus=tuple(replace(g, name="NVIDIA H100 80GB HBM3") for g in HEALTHY.driver.gpus),
    )

    assert "info" == found(facts)["G19"].severity.value


@pytest.mark.parametrize(
    ("required", "met"),
    [
        ("cuda>=12.4", True),
        ("cuda>=13.2", False),
        ("cuda>=13.2 brand=tesla,driver>=580,driver<581", True),
        ("cuda>=13.2 brand=tesla,driver>=470,driver<471", False),
        ("nonsense", True),
    ],
)
def test_one_of_the_alternatives_that_an_image_requires_is_enough(required, met):
    assert met == ("G11" not in found(environment(image_requires=required)))


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ("8.9", ("8.0", "8.6"), True),
        ("9.0", ("8.0", "8.6"), False),
        ("12.1", ("8.0", "12.0"), True),
        ("12.1", ("8.0", "9.0+PTX"), True),
        ("7.0", ("8.0", "9.0+PTX"), False),
    ],
)
def test_a_gpu_runs_code_of_its_generation_and_of_earlier_ptx(capability, built, runs):
    facts = gpu(compute_capability=capability)
    spec = replace(facts.environments[0], image_capabilities=built)
    others = replace(facts.driver.gpus[1], compute_capability="")
    facts = replace(
        facts,
        environments=(spec,),
        driver=replace(facts.driver, gpus=(facts.driver.gpus[0], others)),
    )

    assert runs == ("G20" not in found(facts))


def test_every_diagnosis_from_the_field_is_known_and_tried():
    known = {d.finding.id for d in DIAGNOSES}
    tried = {case[0] for case in SHOWN} & known

    assert known >= FROM_THE_FIELD
    assert tried == {d.finding.id for d in DIAGNOSES if d.finding.severity is not Severity.OK}


def test_every_pattern_is_tried_on_what_somebody_met():
    with_words = {d.finding.id for d in DIAGNOSES if d.said is not None}

    assert with_words == {case[0] for case in SAID}


def test_every_diagnosis_has_its_row_in_troubleshooting():
    rows = re.findall(r"^\| ([A-Z]\d\d) \| .*$", TROUBLESHOOTING.read_text(), re.MULTILINE)
    text = TROUBLESHOOTING.read_text()

    problems = [d.finding for d in DIAGNOSES if d.finding.severity is not Severity.OK]
    assert sorted({f.id for f in problems}) == rows
    for f in problems:
        assert f"| {f.id} | {f.title} | {f.cause} | {f.fix} |" in text


def test_facts_survive_being_sent():
    facts = replace(HEALTHY, absent={"driver": "slow"})

    assert facts == Facts.from_json(json.loads(json.dumps(facts.to_json())))


def test_facts_of_a_later_version_can_be_read():
    assert Facts() == Facts.from_json({"more": 1, "engine": {"also": True}})


@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"engine": 1},
        {"engine": {"local": "yes"}},
        {"engine": {"runtimes": "nvidia"}},
        {"engine": {"disk_free": True}},
        {"driver": {"gpus": [{}]}},
        {"absent": {"driver": 1}},
    ],
)
def test_facts_that_somebody_made_up_are_refused(odd):
    with pytest.raises(InvalidSpecError):
        Facts.from_json(odd)


def test_what_environments_print_is_not_shown_to_others():
    facts = environment(log="password=1234").without_logs()

    assert "1234" not in json.dumps(facts.to_json())


def test_a_failure_is_explained_above_the_words_of_the_engine():
    said = 'could not select device driver "" with capabilities: [[gpu]]'
    error = GPUUnavailableError("The engine cannot give GPUs.", detail=said)

    better = explained(error)

    assert type(error) is type(better)
    assert "The engine cannot give GPUs to containers." == str(better)
    assert "nvidia-ctk runtime configure" in better.hint
    assert said in better.detail


def test_a_failure_that_is_precise_keeps_its_words_and_gets_the_advice():
    said = 'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io: no such host'
    error = RegistryUnreachableError("nvcr.io does not answer.", detail=said)

    better = explained(error)

    assert ("nvcr.io does not answer.", said) == (str(better), better.detail)
    assert "the engine's proxy" in better.hint


def test_advice_that_names_the_environment_is_kept():
    hint = "Re-create it: `jupyter dlenv recreate a`."
    error = GpuLostError(
        "a lost its GPUs.", hint=hint, detail="Failed to initialize NVML: Unknown Error"
    )

    better = explained(error)

    assert "a lost its GPUs." == str(better)
    assert better.hint.endswith(hint)
    assert "daemon-reload" in better.hint


def test_what_the_failure_was_called_first_is_kept():
    error = EnvironmentDiedError("It ended at once (exit code 1).", detail="exec format error")

    assert "It ended at once (exit code 1).\nexec format error" == explained(error).detail


@pytest.mark.parametrize(
    "error", [NameTakenError("There is one."), EngineError("It refused.", detail="No idea.")]
)
def test_a_failure_that_nobody_knows_stays_as_it_is(error):
    assert explain_failure(error) is None
    assert error is explained(error)
