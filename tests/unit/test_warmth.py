"""Which kernels are made ahead, by image and by environment."""

from __future__ import annotations

import pytest

from jupyter_dlenv.kernels.warmth import Warmth
from jupyter_dlenv.models import EnvironmentSpec

PRELOAD = {"*/pytorch[:@]*": ("torch",), "*": ("numpy", "os; import x")}


@pytest.mark.parametrize(
    ("image", "preload"),
    [("nvcr.io/nvidia/pytorch:25.10-py3", "torch,numpy"), ("python:3.12", "numpy")],
)
def test_what_is_imported_ahead_depends_on_the_image(image, preload):
    spec = EnvironmentSpec(name="a", image=image)

    env = Warmth(kernels=2, preload=PRELOAD).applied_to(spec).env

    assert {"DLENV_WARM_KERNELS": "2", "DLENV_PRELOAD": preload} == env


def test_an_environment_decides_for_itself():
    own = {"DLENV_WARM_KERNELS": "0", "DLENV_PRELOAD": ""}

    spec = Warmth(preload=PRELOAD).applied_to(EnvironmentSpec(name="a", image="x", env=own))

    assert own == spec.env
