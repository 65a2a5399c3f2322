"""Shows the main job from nothing: an environment, a notebook that runs in it, how to go on."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

from jupyter_dlenv.configuration import Configuration
from rig import ask, engine
from rig.images import Images
from rig.profiles import MODERN
from rig.programs import CannotError

DIRECTORY = Path(__file__).resolve().parents[2] / "build-artifacts/demo"
NAME = "demo"

CELLS = (
    """\
import os, platform, socket
print(f"Hello from {socket.gethostname()}: Python {platform.python_version()},")
print(f"image {os.environ['DLENV_IMAGE']}, {platform.platform(terse=True)}, uid {os.getuid()}")""",
    """\
import importlib.util
if not importlib.util.find_spec("matplotlib"):
    %pip install -qq --disable-pip-version-check matplotlib""",
    """\
import matplotlib.pyplot as plt
import numpy as np
c = np.linspace(-2.1, 0.7, 480) + 1j * np.linspace(-1.2, 1.2, 412)[:, None]
z, steps = np.zeros_like(c), np.zeros(c.shape)
for step in range(60):
    alive = abs(z) < 2
    z[alive] = z[alive] ** 2 + c[alive]
    steps += alive
plt.imshow((steps / steps.max()) ** 0.4, extent=(-2.1, 0.7, -1.2, 1.2))
plt.title(f"Drawn in {socket.gethostname()}")
plt.show()""",
)


def main() -> int:
    began = time.monotonic()
    image = choose_engine()
    environment = launch(image)
    say(f"Running a notebook with the kernel {environment['kernel_name']} …")
    picture = run_notebook(environment)
    print(
        f"""
It ran in    {environment["name"]} ({environment["image"]}), container \
{environment["container_id"][:12]}, engine {environment["engine"]}
The picture  {picture}
The notebook {DIRECTORY / "demo.ipynb"}
Connect      jupyter dlenv show {NAME}     all about it
             jupyter dlenv connect {NAME}  SSH, editors and ports
             jupyter dlenv shell {NAME}    a shell inside
             kernel {environment["kernel_name"]} in any Jupyter
Remove it    jupyter dlenv remove {NAME}
(the commands are in .venv/bin; it took {time.monotonic() - began:.0f} s)

Open JupyterLab: make lab"""
    )
    return 0


def choose_engine() -> str:
    """Use Docker if it can be had at all; return the image to launch."""
    url = ask.answering_url()
    try:
        if url is None:
            say("No Docker engine answers; starting one …")
            url = engine.up(MODERN).url
            say(f"Started Docker at {url}; `make engine-down` stops it.")
    except CannotError as error:
        say(f"{error} So this runs with the process engine: the same kernels, no container.")
        os.environ["DLENV_ENGINE"] = "process"
        return "python"
    os.environ["DLENV_ENGINE"], os.environ["DOCKER_HOST"] = "docker", url
    say("Getting the starter image; only the first time takes more than a moment …")
    return Images(url).ensure_starter()


def launch(image: str) -> dict[str, Any]:
    """Return the running environment of the demo, that of an earlier run if there is one."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for known in dlenv("list")["environments"]:
        if known["name"] == NAME and known["image"] == image:
            say(f"The environment {NAME} exists; starting it …")
            dlenv("start", NAME)
            return known
        if known["name"] == NAME:
            dlenv("remove", NAME, "--yes")
    say(f"Launching {NAME} from {image} …")
    return dlenv("launch", image, "--name", NAME)["environment"]


def dlenv(*arguments: str) -> dict[str, Any]:
    """Run `jupyter dlenv` and return what it says to programs."""
    command = ["jupyter", "dlenv", *arguments, "--json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, cwd=DIRECTORY, timeout=900, check=False)
    if ended.returncode:
        sys.stdout.buffer.write(ended.stdout)
        sys.exit(ended.returncode)
    return json.loads(ended.stdout)


def run_notebook(environment: dict[str, Any]) -> Path:
    """Execute the notebook in the environment and print what its cells show."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    specs = KernelSpecManager()
    specs.kernel_dirs.insert(0, Configuration.load().kernelspecs_dir)
    client = NotebookClient(
        notebook,
        kernel_name=environment["kernel_name"],
        timeout=300,
        resources={"metadata": {"path": str(DIRECTORY)}},
    )
    client.create_kernel_manager().kernel_spec_manager = specs
    client.execute()
    nbformat.write(notebook, DIRECTORY / "demo.ipynb")
    picture = DIRECTORY / "mandelbrot.png"
    for cell in notebook.cells:
        for output in cell.outputs:
            if output.output_type == "stream":
                print("    " + output.text.strip().replace("\n", "\n    "))
            elif "image/png" in output.get("data", {}):
                picture.write_bytes(base64.b64decode(output.data["image/png"]))
                print(f"    [a picture, {picture.stat().st_size} bytes]")
    return picture


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
