"""Says which kinds of engines there are for tests, and what each is told when it starts."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path("/opt/dlenv-engine")
DEFAULT_SOCKET = Path("/var/run/docker.sock")
#: A variable of a container: NVIDIA's pretended hook says what is in the file ``stderr`` of the
#: directory that it names, and ends with the exit code that is in ``code``.
HOOK_VARIABLE = "DLENV_TEST_HOOK"
_HOOK = f"""#!/bin/sh
bundle=$(sed -n 's/.*"bundle": *"\\([^"]*\\)".*/\\1/p')
told=$(grep -o '"{HOOK_VARIABLE}=[^"]*"' "$bundle/config.json" | head -n 1)
told=${{told#*=}}
told=${{told%\\"}}
[ -d "$told" ] || exit 0
cat "$told/stderr" >&2
exit "$(cat "$told/code")"
"""


_RUNTIME_NAME = "nvidia-container-runtime"
#: Tells a container by a variable which GPUs NVIDIA's runtime would have given to it.
_RUNTIME = """#!/bin/sh
previous=
for word in "$@"; do
    [ "$previous" != --bundle ] || bundle=$word
    previous=$word
done
if [ -n "$bundle" ]; then
    seen=$(grep -o '"NVIDIA_VISIBLE_DEVICES=[^"]*"' "$bundle/config.json" | head -n 1)
    seen=${seen#*=}
    seen=${seen%\\"}
    case $seen in "" | void | none) ;; *)
        sed -i "s/\\"env\\": *\\[/&\\"PRETENDED_SEES=$seen\\",/" "$bundle/config.json" ;;
    esac
fi
exec runc "$@"
"""


@dataclass(frozen=True)
class Profile:
    """A kind of engine.  Number 0 is the main one, at the default socket and bridge."""

    name: str
    number: int
    release: str = "28"
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    disk: str = ""

    @property
    def directory(self) -> Path:
        return ROOT / self.name

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        return DEFAULT_SOCKET if self.number == 0 else self.directory / "run/docker.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def bridge(self) -> str:
        return f"dlenv-{self.name}" if self.number else "docker0"

    @property
    def subnet(self) -> str:
        return f"10.228.{self.number}.0/24"


MODERN = Profile("modern", 0)
PROFILES = {
    profile.name: profile
    for profile in (
        MODERN,
        Profile(
            "like-29",
            1,
            environment={"DOCKER_MIN_API_VERSION": "1.44"},
            settings={
                "features": {"containerd-snapshotter": True},
                "default-runtime": "nvidia",
                "runtimes": {"nvidia": {"path": f"{ROOT}/like-29/hook/{_RUNTIME_NAME}"}},
            },
        ),
        Profile("oldest", 2, release="20.10"),
        Profile("tiny", 3, disk="600m"),
        Profile("live", 4, settings={"live-restore": True}),
    )
}


def settings(profile: Profile) -> dict[str, Any]:
    """Return the content of daemon.json."""
    mtu = _uplink_mtu()
    settings: dict[str, Any] = {
        "data-root": str(profile.data),
        "exec-root": str(profile.directory / "exec"),
        "pidfile": str(profile.directory / "run/docker.pid"),
        "hosts": [profile.url],
        # A container's packets must fit the uplink: where they do not, TLS stalls.
        "mtu": mtu,
        **profile.settings,
    }
    if profile.number:
        pool = f"10.228.{64 + 16 * profile.number}.0/20"
        settings |= {
            "bridge": profile.bridge,
            "default-address-pools": [{"base": pool, "size": 24}],
            # The rules are ours, see network.py: two engines do not share chains well.
            "iptables": False,
            "ip6tables": False,
        }
    if profile.release != "20.10":
        settings |= {
            "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": str(mtu)}},
            "cdi-spec-dirs": [str(profile.directory / "cdi")],
        }
    return settings


#: Prints the GPUs whose device nodes are there, or what the file says that is named by a variable.
SMI_VARIABLE = "DLENV_TEST_SMI"
_REST = "00:00.0, 81559, 12, 0, 31, 72.00, 700.00, 580.95.05, Disabled"
_SMI = f"""#!/bin/sh
[ -z "${SMI_VARIABLE}" ] || exec cat "${SMI_VARIABLE}"
case $1 in
    -L) format='GPU %d: Pretended (UUID: GPU-%08x-0000-4000-8000-000000000000)\\n' ;;
    --query-gpu=*) format='%d, GPU-%08x-0000-4000-8000-000000000000, Pretended, {_REST}\\n' ;;
    *) exit 0 ;;
esac
for n in 0 1 2 3 4 5 6 7; do
    [ ! -e "/dev/nvidia$n" ] ||
        printf "$format" "$n" "$n"
done
"""


def pretend_gpus(profile: Profile) -> None:
    """Let the engine believe that the NVIDIA toolkit is installed, where there is no GPU."""
    if Path("/dev/nvidiactl").exists():
        return
    _replace(profile.directory / "hook/nvidia-container-runtime-hook", _HOOK)
    uuids = ("GPU-11111111-aaaa", "GPU-22222222-bbbb")
    devices = [
        {"name": uuid, "containerEdits": {"env": [f"PRETENDED_GPU_{number}={uuid}"]}}
        for number, uuid in enumerate(uuids)
    ]
    spec = {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": devices}
    _replace(profile.directory / "cdi/pretended.json", json.dumps(spec))
    _replace(profile.directory / f"hook/{_RUNTIME_NAME}", _RUNTIME)
    _replace(profile.directory / "hook/nvidia-smi", _SMI)
    _replace(profile.directory / "cdi/eight.json", json.dumps(_eight(profile)))


def _eight(profile: Profile) -> dict[str, Any]:
    """Return the specification of the eight GPUs that nvml.py pretends by default."""
    nodes = [{"path": f"/dev/nvidia{number}", "hostPath": "/dev/null"} for number in range(8)]
    devices = [
        {
            "name": f"GPU-{number:08x}-0000-4000-8000-000000000000",
            "containerEdits": {"deviceNodes": [node]},
        }
        for number, node in enumerate(nodes)
    ]
    devices.append({"name": "all", "containerEdits": {"deviceNodes": nodes}})
    smi = {
        "hostPath": str(profile.directory / "hook/nvidia-smi"),
        "containerPath": "/usr/bin/nvidia-smi",
        "options": ["ro", "nosuid", "nodev", "bind"],
    }
    return {
        "cdiVersion": "0.6.0",
        "kind": "nvidia.com/gpu",
        "containerEdits": {"mounts": [smi]},
        "devices": devices,
    }


def _replace(path: Path, text: str) -> None:
    """Write a file that an engine may be reading: it never sees a half of it."""
    # Not beside it: everything in a directory of specifications is read as one.
    scratch = path.parent.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    scratch.chmod(0o755)
    scratch.replace(path)


def _uplink_mtu() -> int:
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        interface, destination = line.split()[:2]
        if destination == "00000000":
            return int(Path(f"/sys/class/net/{interface}/mtu").read_text())
    return 1500
