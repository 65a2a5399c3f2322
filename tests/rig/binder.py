"""Builds and visits what Binder would, in a clean container: ``python -m rig.binder``.

The steps are those of repo2docker, each taken from the files in ``binder/``: the packages of
apt.txt, those of requirements.txt, postBuild; then everything below ``start``.  Only its image and
its conda are missing; Debian's Python stands for them.
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import docker

from jupyter_dlenv.images.download_settings import download_settings
from rig import ask
from rig.images import Images

ROOT = Path(__file__).resolve().parents[2]
HOME = "/home/jovyan"
BUNDLE = "/etc/ssl/certs/of-this-machine.crt"
_TRUST = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

BUILD = """
apt-get -o Acquire::Check-Valid-Until=false update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  python3-venv $(cat binder/apt.txt) >/dev/null
useradd --create-home --home-dir /home/jovyan jovyan
python3 -m venv /srv/env && chown -R jovyan: /srv/env /home/jovyan
"""
INSTALL = "pip install -q --no-cache-dir -r binder/requirements.txt"
POST_BUILD = "./binder/postBuild"
#: The tour from its first cell to its last, and what JupyterLab says at its top.
VISIT = r"""
set -euo pipefail
jupyter execute --timeout=120 --output=/tmp/tour.ipynb binder/tour.ipynb
python - <<'END'
import json
cells = json.load(open("/tmp/tour.ipynb"))["cells"]
shown = json.dumps([o for c in cells for o in c.get("outputs", ())])
for wanted in ("H100 (simulated)", "GPUs in here: GPU-", "image/png", "'tour' is removed."):
    assert wanted in shown, (wanted, shown)
END
jupyter labextension list 2>&1 | grep -E "jupyter-dlenv .*enabled.*OK"
jupyter labextension list 2>&1 | grep -E "jupyterlab-topbar-text .*enabled.*OK"
jupyter server extension list 2>&1 | grep -E "jupyter_dlenv .*OK"
jupyter lab --no-browser --ip=127.0.0.1 --IdentityProvider.token=t >/tmp/lab.log 2>&1 &
trap 'kill %1' EXIT
python - <<'END'
import json, time, urllib.request
def get(path):
    return json.load(urllib.request.urlopen(f"http://127.0.0.1:8888/{path}?token=t", timeout=10))
for attempt in range(120):
    try:
        get("api")
        break
    except OSError:
        time.sleep(0.5)
banner = get("lab/api/settings/jupyterlab-topbar-text:plugin")
assert "Simulated" in banner["schema"]["properties"]["text"]["default"], banner
print("At the top:", banner["schema"]["properties"]["text"]["default"])
names = [gpu["name"] for gpu in get("dlenv/api/gpus")["gpus"]]
assert names and all("(simulated)" in name for name in names), names
print("GPUs:", names)
END
"""


def main() -> int:
    url = ask.answering_url()
    if url is None:
        print("No Docker engine answers.")
        return 3
    image = Images(url).ensure("bare")
    settings = asyncio.run(download_settings())
    trust = dict.fromkeys(_TRUST, BUNDLE) if settings.ca_bundle else {}
    client = docker.DockerClient(base_url=url, timeout=1200)
    container = client.containers.create(
        image,
        ["sleep", "1800"],
        environment={**settings.env, **trust, "PATH": "/srv/env/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        init=True,
    )
    try:
        container.start()
        for path, content in (
            ("/", _tar({BUNDLE[1:]: settings.ca_bundle})),
            ("/", _checkout()),
        ):
            container.put_archive(path, content)
        steps = [
            ("apt.txt", BUILD, "root"),
            ("requirements.txt", INSTALL, "jovyan"),
            ("postBuild", POST_BUILD, "jovyan"),
            ("the tour and JupyterLab", f"./binder/start bash -c {_quoted(VISIT)}", "jovyan"),
        ]
        return next((code for step in steps if (code := _do(container, *step))), 0)
    finally:
        container.remove(force=True, v=True)
        client.close()


def _do(container, what: str, script: str, user: str) -> int:
    began = time.monotonic()
    ended = container.exec_run(
        ["bash", "-euc", script], user=user, workdir=HOME, environment={"HOME": HOME}
    )
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)
    if ended.exit_code or what.startswith("the tour"):
        print(ended.output.decode(errors="replace")[-6000:], flush=True)
    return ended.exit_code


def _checkout() -> bytes:
    """Return the files of this checkout that are, or may become, part of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in filter(None, listed.stdout.split("\0")):
                if (ROOT / name).is_file():
                    tar.add(ROOT / name, f"{HOME[1:]}/{name}")
        return buffer.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    sys.exit(main())
