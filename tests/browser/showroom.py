"""Answers of a server that has what no test machine has: eight GPUs and NVIDIA's images.

For pictures only: the pages are real, in a real JupyterLab, and see what a server would send.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from playwright.sync_api import Page, Route

from jupyter_dlenv.access.ide import ide_links
from jupyter_dlenv.access.lines import lines_for
from jupyter_dlenv.access.port_uses import PortUse
from jupyter_dlenv.doctor.diagnoses import explained
from jupyter_dlenv.errors import EnginePermissionError, GPUUnavailableError
from jupyter_dlenv.images.catalogue import Catalogue
from jupyter_dlenv.images.offers import Offer
from jupyter_dlenv.server.translation import in_language, sentences_for

GIB = 1024**3
MIB = 1024**2
H100 = "NVIDIA H100 80GB HBM3"


def ago(**span: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(**span)).isoformat()


def gpu(index: int, state: str = "free", **fields: Any) -> dict[str, Any]:
    return {
        "uuid": f"GPU-{index:08x}-0000-4000-8000-000000000000", "index": index, "name": H100,
        "state": state, "reason": "", "memory_used": 0, "memory_total": 81559 * MIB,
        "utilization": 0, "temperature": 41, "power": 90.0, "environment": "", "users": [],
        "processes": 0, "mig": [], **fields,
    }  # fmt: skip


def mig(index: int, name: str, state: str = "free") -> dict[str, Any]:
    return {
        "uuid": f"MIG-{index}", "index": index, "name": f"{H100} MIG {name}", "state": state,
        "reason": "", "memory_used": 0, "memory_total": 10 * GIB, "environment": "", "users": [],
        "processes": 0,
    }  # fmt: skip


def eight_gpus(count: int = 0) -> dict[str, Any]:
    mine = {
        "environment": "bert-finetune",
        "reason": "environment bert-finetune of anna",
        "processes": 1,
    }
    gpus = [
        gpu(0, "busy", memory_used=73 * GIB, utilization=97, users=["mchen"], processes=2),
        gpu(1, "busy", memory_used=38 * GIB, utilization=62, users=["priya"], processes=1),
        gpu(2, "leased", memory_used=61 * GIB, utilization=94, **mine),
        gpu(3, "leased", memory_used=60 * GIB, utilization=91, **mine),
        gpu(4),
        gpu(5),
        gpu(6, "mig", mig=[mig(0, "3g.40gb"), mig(1, "1g.10gb"), mig(2, "2g.20gb", "busy")],
            reason="in MIG mode", memory_used=24 * GIB, utilization=None),
        gpu(7, "lost", reason="lost", name="", memory_total=0, utilization=None),
    ]  # fmt: skip
    return {
        "driver": {"state": "ok", "message": "", "version": "580.95.05", "cuda": "13.0"},
        "gpus": gpus,
        "nvlinks": [[0, 1], [2, 3], [4, 5]],
        "free": 2,
        "will_be_taken": [g["uuid"] for g in gpus if g["state"] == "free"][:count],
    }


def nothing_leased(count: int = 0) -> dict[str, Any]:
    """Return the board before anybody has launched anything."""
    board = eight_gpus(count)
    board["gpus"][2:4] = [gpu(2), gpu(3)]
    return {**board, "free": 4}


def no_gpus(_count: int = 0) -> dict[str, Any]:
    """Return the board of a machine that has none."""
    return {
        "driver": {"state": "absent", "message": "", "version": "", "cuda": ""},
        "gpus": [], "nvlinks": [], "free": 0, "will_be_taken": [],
    }  # fmt: skip


def breathing() -> Callable[[int], dict[str, Any]]:
    """Return a board whose loads are others at each look, as those of real GPUs are."""
    looks = itertools.count()

    def board(count: int) -> dict[str, Any]:
        now, look = eight_gpus(count), next(looks)
        for gpu in now["gpus"]:
            if gpu["utilization"]:
                swing = math.sin(look / 5 + gpu["index"]) + math.sin(look / 2.3)
                drop = 60 if look % 47 in (20, 21) else 0
                gpu["utilization"] = max(0, min(100, round(gpu["utilization"] + 2 * swing) - drop))
        return now

    return board


def environment(name: str, image: str, gpus: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "name": name, "id": name, "status": "running", "image": f"nvcr.io/nvidia/{image}",
        "image_id": "sha256:1", "gpus": gpus, "gpu_uuids": [], "kernel_name": f"dlenv-{name}",
        "container_id": name, "owner": "anna", "engine": "docker", "ports": ["127.0.0.1:7603:22"],
        "mounts": ["/home/anna/projects/bert:/home/anna/projects/bert"],
        "created": ago(hours=4), "started": ago(hours=3, minutes=12), "exit_code": None,
        "out_of_memory": False, "home": "/home/anna", "spec": {}, **fields,
    }  # fmt: skip


def job(name: str, image: str, gpus: int, phase: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"job-{name}", "name": name,
        "spec": {"name": name, "image": f"nvcr.io/nvidia/{image}", "gpus": gpus},
        "build_dir": "", "phase": phase, "message": "", "current": 0, "total": 0, "layers": [],
        "cancelling": False, "error": None, "environment": None, "created": ago(seconds=78),
        "phases": {"queued": ago(seconds=78), "pulling": ago(seconds=77)}, "ended": "", **fields,
    }  # fmt: skip


def layers() -> list[dict[str, Any]]:
    def layer(name: str, state: str, current: float, total: float) -> dict[str, Any]:
        return {"id": name, "state": state, "current": int(current * 1e9),
                "total": int(total * 1e9)}  # fmt: skip

    return [
        layer("a91f0c3be27d", "Downloading", 1.22, 1.94),
        layer("5be2d4470c18", "Downloading", 0.48, 1.32),
        layer("e07cc1196fa2", "Downloading", 0.07, 0.46),
        layer("c4482e91d0b3", "Extracting", 1.02, 1.38),
        *(layer(f"done{i}", "Pull complete", 0.044, 0.044) for i in range(18)),
        *(layer(f"wait{i}", "Waiting", 0, 0.021) for i in range(15)),
        *(layer(f"here{i}", "Already exists", 0.17, 0.17) for i in range(24)),
    ]


def pulling() -> dict[str, Any]:
    return job(
        "pytorch-25-10", "pytorch:25.10-py3", 2, "pulling", current=int(3.94e9),
        total=int(6.21e9), layers=layers(), speed=84e6, seconds_left=27,
    )  # fmt: skip


BUILD_LOG = """\
1/5 FROM nvcr.io/nvidia/pytorch:25.10-py3
 using cache 3f1c9e0d22ab
2/5 RUN apt-get update
Get:1 http://archive.ubuntu.com/ubuntu noble InRelease [256 kB]
Get:2 http://archive.ubuntu.com/ubuntu noble-updates InRelease [126 kB]
Fetched 34.1 MB in 3s (11.6 MB/s)
3/5 RUN apt-get install -y --no-install-recommends openssh-server
The following NEW packages will be installed:
  openssh-server openssh-sftp-server ucf
Need to get 548 kB of archives.
Unpacking openssh-sftp-server (1:9.6p1-3ubuntu13.14) ...
Unpacking openssh-server (1:9.6p1-3ubuntu13.14) ...
Setting up openssh-sftp-server (1:9.6p1-3ubuntu13.14) ...
Setting up openssh-server (1:9.6p1-3ubuntu13.14) ...
Processing triggers for libc-bin (2.39-0ubuntu8.6) ...
"""


LOGS = """\
2026-11-25 09:12:03 kernel 4f1c started for train.ipynb, pid 41
2026-11-25 09:12:03 sshd listens on port 22
2026-11-25 09:14:40 tensorboard 2.20.0 at http://127.0.0.1:6006/ (Press CTRL+C to quit)
2026-11-25 09:21:17 kernel 8be0 started for eval.ipynb, pid 388
2026-11-25 09:58:51 anna signed in from 172.17.0.1
2026-11-25 11:02:09 NCCL version 2.28.3+cuda13.0
"""


def ready() -> dict[str, Any]:
    began = {"queued": 170, "pulling": 169, "preparing": 45, "creating": 12, "starting": 10}
    return job(
        "pytorch-25-10", "pytorch:25.10-py3", 2, "ready", ended=ago(seconds=4),
        phases={**{phase: ago(seconds=s) for phase, s in began.items()}, "ready": ago(seconds=4)},
    )  # fmt: skip


def preparing() -> dict[str, Any]:
    return job(
        "pytorch-25-10", "pytorch:25.10-py3", 2, "preparing", current=3, total=5,
        message="Adding an SSH server",
        phases={"queued": ago(seconds=134), "pulling": ago(seconds=133),
                "preparing": ago(seconds=9)},
    )  # fmt: skip


def failed() -> dict[str, Any]:
    return job(
        "pytorch-25-10", "pytorch:25.10-py3", 2, "failed",
        phases={"queued": ago(seconds=60), "pulling": ago(seconds=59),
                "starting": ago(seconds=3), "failed": ago(seconds=1)},
        error=explained(GPUUnavailableError(
            "The engine cannot give GPUs to containers.",
            detail="500 Server Error for POST /containers/7d1e…/start: could not select "
            'device driver "" with capabilities: [[gpu]].',
        )).to_json(),
    )  # fmt: skip


def finding(code: str, severity: str, title: str, **fields: str) -> dict[str, str]:
    return {"id": code, "section": "engine", "severity": severity, "title": title, "cause": "",
            "fix": "", "detail": "", **fields}  # fmt: skip


FINDINGS = [
    finding(
        "G05", "error", "The engine cannot give GPUs to containers.",
        cause="The NVIDIA Container Toolkit is missing on the engine's host, or was installed "
        "after Docker had started, or the engine is one that cannot use it (snap, Docker Desktop).",
        fix="Install the NVIDIA Container Toolkit, then `sudo nvidia-ctk runtime configure "
        "--runtime=docker && sudo systemctl restart docker`.",
        detail="nvidia-container-runtime-hook not found; Docker knows no nvidia runtime",
    ),
    finding("G11", "warning", "GPU 7 does not answer any more.",
            cause="It has fallen off the bus (see Xid messages in `sudo dmesg`); the others can "
            "be used.",
            fix="Reset it (`sudo nvidia-smi --gpu-reset`) or reboot; if it stays so, have it "
            "checked."),
    finding("I02", "warning", "The engine's disk may be too small for another image.",
            fix="See `docker system df`, remove images that nobody needs (`docker image ls`, "
            "`docker image rm`), and `docker builder prune`."),
    finding("engine", "ok", "Docker 28.5.2 answers (docker)."),
    finding("gpus", "ok", "Driver 580.95.05 and 7 GPUs answer."),
    finding("registry", "ok", "The registry answers."),
    finding("machine", "ok", "The directories and ports that environments need can be used."),
    finding("parts", "ok", "jupyter_dlenv is complete."),
]  # fmt: skip

#: The newest tag is not on the engine yet.
_READY = {"pytorch": ("25.09-py3",), "tensorflow": ("25.02-tf2-py3",)}
_OFFERED = ("pytorch", "tensorflow", "jax", "rapids-base", "tritonserver", "nemo", "cuda")
_SHIPPED = Catalogue.load()
CATALOGUE = {
    "registry": _SHIPPED.registry,
    "offers": [
        Offer(
            entry=entry, repository=_SHIPPED.repository(entry), ready=_READY.get(entry.name, ())
        ).to_json()
        for entry in _SHIPPED.entries
        if entry.name in _OFFERED
    ],
}

SHEET = {
    "image": "nvcr.io/nvidia/pytorch:25.10-py3", "here": False, "outdated": False,
    "download": int(6.2e9), "whole": int(10.2e9), "layers": 37, "needs_disk": int(22e9),
    "free_disk": int(412e9), "architectures": ["amd64", "arm64"], "driver": "580.95",
    "requires": "", "capabilities": ["8.0", "9.0"],
    "host": {"architecture": "amd64", "driver": "580.95.05", "cuda": "13.0", "gpus": []},
    "remarks": [], "notes": "Has JupyterLab. Runs as root in /workspace.", "problem": "",
    "licence": "NVIDIA Deep Learning Container License: "
    "https://developer.nvidia.com/ngc/nvidia-deep-learning-container-license",
    "suggestion": "",
}  # fmt: skip

IMAGES = {
    "images": [
        {"id": "sha256:1", "tags": tags, "digests": [], "size": 21 * GIB,
         "created": ago(days=6), "architecture": "amd64"}
        for tags in (
            ["nvcr.io/nvidia/pytorch:25.09-py3"],
            ["nvcr.io/nvidia/tensorflow:25.02-tf2-py3"],
            ["lab/eval:2026-11"],
        )
    ]
}  # fmt: skip

TAGS = [f"25.{month:02}-py3" for month in range(10, 0, -1)] + [
    f"24.{month:02}-py3" for month in range(12, 5, -1)
]

ENVIRONMENTS = [
    environment("bert-finetune", "pytorch:25.10-py3", 2),
    environment("ablation-seed", "jax:25.10-py3", 2, status="stopped", exit_code=0,
                gpu_uuids=[gpu(2)["uuid"], gpu(3)["uuid"]]),
    environment("tabular", "rapidsai/base:25.10-cuda13-py3.12", 1, status="stopped",
                exit_code=137, out_of_memory=True),
    environment("notebook-cpu", "pytorch:25.09-py3", 0, started=ago(minutes=41)),
]  # fmt: skip

UNREACHABLE = explained(EnginePermissionError(
    "You may not use the engine at unix:///var/run/docker.sock.",
    detail="PermissionError: [Errno 13] Permission denied: '/var/run/docker.sock'",
)).to_json()  # fmt: skip


def many_environments(count: int) -> list[dict[str, Any]]:
    images = ("pytorch:25.10-py3", "jax:25.10-py3", "rapidsai/base:25.10", "tensorflow:25.02")
    return [
        environment(
            f"{('sweep', 'eval', 'paper', 'demo')[i % 4]}-{i:02}", images[i % 4], i % 3,
            status="stopped" if i % 3 == 0 else "running", exit_code=0,
        )
        for i in range(count)
    ]  # fmt: skip


@dataclass
class Showroom:
    """What the routes of a server answer; a test changes it as it likes."""

    environments: list[dict[str, Any]] = field(default_factory=lambda: list(ENVIRONMENTS))
    jobs: list[dict[str, Any]] = field(default_factory=list)
    board: Callable[[int], dict[str, Any]] = eight_gpus
    failure: dict[str, str] | None = None
    log: str = ""
    problems: list[dict[str, str]] = field(default_factory=list)
    project: dict[str, Any] | None = None
    engine: str = "docker"

    def environments_now(self) -> list[dict[str, Any]]:
        return self.environments

    def attach(self, page: Page) -> None:
        page.route(re.compile(r"/dlenv/api/"), self._answer)

    def _answer(self, route: Route) -> None:
        def answer(value: Any, status: int = 200) -> None:
            # As the server does it.
            wanted = sentences_for(route.request.headers.get("accept-language", ""))
            said = in_language(wanted, value) if wanted else value
            route.fulfill(status=status, json=said)

        path = route.request.url.split("/dlenv/api/", 1)[1]
        name, _, query = path.partition("?")
        if self.failure and name in ("environments", "images", "engine"):
            answer({"error": self.failure}, 503)
            return
        known: dict[str, Any] = {
            "environments": {"environments": self.environments_now()},
            "jobs": {"jobs": self.jobs},
            "images": IMAGES,
            "catalogue": CATALOGUE,
            "doctor": {"findings": FINDINGS},
            "engines": {"in_use": self.engine, "default": "docker", "engines": ENGINES},
        }
        if name in known:
            answer(known[name])
        elif name == "gpus":
            count = int(re.search(r"count=(\d+)", query)[1]) if "count" in query else 0
            answer(self.board(count))
        elif name == "spec":
            spec = json.loads(route.request.post_data or "{}")
            mounts = [*spec.get("mounts", []), "/home/anna/projects/bert:/home/anna/projects/bert"]
            whole = {"shm_size": 8 * GIB, "ports": [], **spec, "mounts": mounts}
            whole["shm_size"] = 8 * GIB
            answer(
                {
                    "spec": None if self.problems else whole,
                    "problems": self.problems,
                    "ssh_port": 7603,
                }
            )
        elif name.startswith("kernels/"):
            # The kernels of the pictures are real.
            route.continue_()
        elif name.endswith("/log"):
            route.fulfill(body=self.log, content_type="text/plain")
        elif name.endswith("/logs"):
            route.fulfill(body=LOGS, content_type="text/plain")
        elif name.startswith("jobs/"):
            answer(self.jobs[0])
        else:
            extra = self.extra(name, query)
            if extra is None:
                missing = {"code": "not-found", "message": "", "hint": "", "detail": ""}
                answer({"error": missing}, 404)
            else:
                answer(extra)

    def extra(self, name: str, query: str) -> Any:
        if name == "tags":
            tags = [{"tag": tag, "ready": tag == "25.09-py3"} for tag in TAGS]
            return {"repository": "nvcr.io/nvidia/pytorch", "tags": tags, "problem": ""}
        if name == "images/sheet":
            return SHEET
        if name.endswith("/ports"):
            return {"ports": PORTS}
        if name.endswith("/connect"):
            return SHEETS
        if name.endswith("/export"):
            return EXPORT
        if name == "project":
            return {"project": self.project}
        return None


ENGINES = [
    {"name": "docker", "kind": "docker", "address": "", "allowed": True},
    {"name": "gpu1", "kind": "docker", "address": "ssh://gpu1.example.org", "allowed": True},
    {"name": "process", "kind": "process", "address": "", "allowed": False},
]

PROJECT = {
    "path": "/home/anna/projects/bert/dlenv.toml", "build_dir": "", "pinned": True, "beyond": [],
    "spec": {"name": "bert-distil", "image": "nvcr.io/nvidia/pytorch:25.09-py3", "gpus": 1},
}  # fmt: skip

EXPORT = {
    "to": "devcontainer", "file": ".devcontainer/devcontainer.json", "notes": [
        "What was installed in the environment is not in it: `jupyter dlenv save` keeps that.",
        "Passed on by name, without their values: WANDB_API_KEY.",
    ],
    "content": """{
  "name": "bert-finetune",
  "image": "nvcr.io/nvidia/pytorch:25.10-py3@sha256:3c9e0d22ab7d1e0d5c5e6b1f4a7d8c90",
  "hostRequirements": {"gpu": {"cores": 1}},
  "runArgs": ["--gpus", "2", "--shm-size", "8g", "--ulimit", "memlock=-1"],
  "remoteUser": "anna",
  "remoteEnv": {"WANDB_API_KEY": "${localEnv:WANDB_API_KEY}"},
  "forwardPorts": [6006]
}
""",
}  # fmt: skip

PORTS = [
    {"port": 22, "listening": True, "loopback": False, "process": "sshd", "service": "SSH",
     "web": False, "published": ["127.0.0.1:7603"], "forwarded": []},
    {"port": 6006, "listening": True, "loopback": True, "process": "tensorboard",
     "service": "TensorBoard", "web": True, "published": [], "forwarded": [6006]},
    {"port": 8888, "listening": True, "loopback": True, "process": "jupyter-lab",
     "service": "Jupyter", "web": True, "published": [], "forwarded": [8890]},
    {"port": 7860, "listening": True, "loopback": False, "process": "python3",
     "service": "Gradio", "web": True, "published": [], "forwarded": []},
    {"port": 5000, "listening": True, "loopback": True, "process": "mlflow", "service": "MLflow",
     "web": True, "published": [], "forwarded": []},
]  # fmt: skip


def line(command: str, purpose: str) -> dict[str, str]:
    return {"command": command, "purpose": purpose}


def block(place: str, text: str, remark: str) -> dict[str, str]:
    return {"place": place, "title": "", "remark": remark, "text": text}


_KEY = "/bin/echo dlenv-bert-finetune ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq2lR0n1yT9tS5b"
_REST = f"""\
  User anna
  HostKeyAlias dlenv-bert-finetune
  KnownHostsCommand {_KEY}
  UserKnownHostsFile none
  StrictHostKeyChecking yes
  IdentityFile ~/.ssh/id_ed25519
"""
_OWN_KEY = (
    "Your own key has to be one of those that are let in: "
    "`jupyter dlenv connect bert-finetune --authorize ~/.ssh/id_ed25519.pub`."
)
SHEETS = {
    "name": "bert-finetune", "running": True, "alias": "dlenv-bert-finetune", "unavailable": "",
    "installed": False,
    "fields": {"host": "127.0.0.1", "port": 7603, "user": "anna",
               "key_file": "/home/anna/.local/share/jupyter/dlenv/ssh/id_ed25519",
               "interpreter": "/usr/bin/python3", "host_key": "", "fingerprint": ""},
    "commands": [
        line("ssh dlenv-bert-finetune", "Log in; once `jupyter dlenv ssh-config install` was run."),
        line("scp FILE dlenv-bert-finetune:", "Copy a file into its home directory."),
    ],
    "blocks": [
        block("here", f"Host dlenv-bert-finetune\n  HostName 127.0.0.1\n  Port 7603\n{_REST}",
              "`jupyter dlenv ssh-config install` includes it in ~/.ssh/config."),
        block("laptop", "Host dlenv-bert-finetune\n  HostName 127.0.0.1\n  Port 7603\n"
              f"  ProxyJump anna@gpu01.lab\n{_REST}",
              f"Goes into ~/.ssh/config of the laptop. {_OWN_KEY}"),
        block("jupyter-url", "Host dlenv-bert-finetune\n  HostName dlenv-bert-finetune\n"
              f"  ProxyCommand jupyter dlenv ssh-proxy bert-finetune\n{_REST}",
              f"Goes into ~/.ssh/config of the laptop, which needs jupyter_dlenv too. "
              f"{_OWN_KEY}"),
        block("windows", f"Host dlenv-bert-finetune\n  HostName 127.0.0.1\n  Port 7603\n{_REST}",
              "Goes into %USERPROFILE%\\.ssh\\config; its first lines say where the host key "
              f"goes. {_OWN_KEY}"),
    ],
    "forwards": [line.to_json() for line in lines_for("dlenv-bert-finetune", (
        PortUse(port=6006, listening=True, service="TensorBoard"),
    ))],
    "ides": [link.to_json() for link in ide_links(
        alias="dlenv-bert-finetune", user="anna", port=7603, path="/home/anna/projects/bert",
        container="",
    )],
    "ports": [],
}  # fmt: skip
