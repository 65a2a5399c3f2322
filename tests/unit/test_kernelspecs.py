"""Kernelspecs: what Jupyter shows of an environment, and what happens to those of others."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from jupyter_dlenv.kernels.kernelspecs import KernelSpecs, display_name, install, meaning
from jupyter_dlenv.models import Environment, EnvironmentSpec, Status


def environment(name="a", image="nvcr.io/nvidia/pytorch:25.10-py3", gpus=2):
    return Environment(
        id="1",
        spec=EnvironmentSpec(name=name, image=image),
        status=Status.RUNNING,
        container_id="c",
        image_id="sha256:0",
        owner="me",
        engine="docker",
        gpu_uuids=tuple(f"GPU-{index}" for index in range(gpus)),
    )


@pytest.fixture
def specs(tmp_path):
    return KernelSpecs(tmp_path / "kernels")


@pytest.mark.parametrize(
    ("image", "gpus", "shown"),
    [
        ("nvcr.io/nvidia/pytorch:25.10-py3", 2, "PyTorch 25.10 · 2\N{NO-BREAK SPACE}GPUs (a)"),
        (
            "nvcr.io/nvidia/tensorflow:24.03-tf2-py3",
            1,
            "TensorFlow 24.03 · 1\N{NO-BREAK SPACE}GPU (a)",
        ),
        ("localhost:5000/team/thing:latest", 0, "thing (a)"),
        ("python:3.12-slim", 0, "Python 3.12 (a)"),
        ("pytorch/pytorch@sha256:" + "0" * 64, 0, "PyTorch (a)"),
    ],
)
def test_the_display_name_tells_framework_version_gpus_and_name(image, gpus, shown):
    assert shown == display_name(environment(image=image, gpus=gpus))


def test_jupyter_finds_the_kernelspec_and_its_logo(specs):
    specs.write(environment())

    manager = KernelSpecManager(kernel_dirs=[str(specs.directory)])
    spec = manager.get_kernel_spec("dlenv-a")

    assert "signal" == spec.interrupt_mode
    assert {"environment": "a", "engine": "docker"} == spec.metadata["kernel_provisioner"]["config"]
    assert {"kernel.json", "logo-svg.svg"} == {
        path.name for path in (specs.directory / "dlenv-a").iterdir()
    }


@pytest.mark.parametrize("image", ["pytorch", "tensorflow", "jax", "cuda", "python", "unknown"])
def test_every_image_has_a_logo(specs, image):
    directory = specs.write(environment(image=image))

    assert (directory / "logo-svg.svg").read_bytes().startswith(b"<svg")


def test_an_installed_kernelspec_needs_no_provisioner_and_is_known_as_ours(tmp_path):
    written = install(tmp_path, environment())

    spec = json.loads((written / "kernel.json").read_text())
    assert "kernel_provisioner" not in spec["metadata"]
    assert sys.executable == spec["argv"][0]
    assert ("a", "docker", spec) == meaning(written / "kernel.json")


def test_a_kernelspec_that_is_right_already_is_left_alone(specs):
    written = specs.write(environment()) / "kernel.json"
    before = written.stat().st_ino

    specs.write(environment())
    assert before == written.stat().st_ino

    specs.write(environment(gpus=1))
    assert "1\N{NO-BREAK SPACE}GPU" in json.loads(written.read_text())["display_name"]


def test_many_can_write_one_kernelspec_at_the_same_time(specs):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: specs.write(environment(gpus=n % 3)), range(60)))

    assert {"kernel.json", "logo-svg.svg"} == {
        path.name for path in (specs.directory / "dlenv-a").iterdir()
    }


def test_sync_writes_what_is_missing_and_removes_what_is_gone(specs):
    specs.write(environment("old"))

    specs.sync([environment("new")], engine="docker", known=specs.names())

    assert {"dlenv-new"} == specs.names()


def test_sync_spares_other_engines_other_peoples_kernelspecs_and_new_ones(specs):
    known = specs.names() | {"python3", "dlenv-elsewhere"}
    specs.write(environment("launched-meanwhile"))
    for name, provisioner in (("python3", "local-provisioner"), ("dlenv-elsewhere", None)):
        directory = specs.directory / name
        directory.mkdir()
        config = {"environment": "elsewhere", "engine": "ssh://host"}
        metadata = {
            "provisioner_name": provisioner or "dlenv-provisioner",
            "config": config,
        }
        content = {"metadata": {"kernel_provisioner": metadata}}
        (directory / "kernel.json").write_text(json.dumps(content))
    (specs.directory / "broken").mkdir()

    specs.sync([], engine="docker", known=known | {"broken"})

    assert {"python3", "dlenv-elsewhere", "broken", "dlenv-launched-meanwhile"} == specs.names()


def test_removing_what_is_gone_is_no_error(specs):
    specs.write(environment())

    specs.remove("a", engine="docker")
    specs.remove("a", engine="docker")

    assert frozenset() == specs.names()


def test_removing_an_environment_spares_its_namesake_on_another_engine(specs):
    specs.write(environment())

    specs.remove("a", engine="process")

    assert {"dlenv-a"} == specs.names()
