"""Whether an image works on a host, and which tag is the newest that does."""

from __future__ import annotations

import pytest

from jupyter_dlenv.images.fit import Host, HostGpu, Needs, remarks, works
from jupyter_dlenv.images.tags import newest_that, plainest

H100 = HostGpu(name="NVIDIA H100 80GB HBM3", capability="9.0")
GEFORCE = HostGpu(name="NVIDIA GeForce RTX 4090", capability="8.9")
V100 = HostGpu(name="Tesla V100-SXM2-32GB", capability="7.0")
NGC = {
    "CUDA_DRIVER_VERSION": "580.95.05",
    "NVIDIA_REQUIRE_CUDA": "cuda>=9.0",
    "CUDA_ARCH_LIST": "8.0 8.6 9.0 10.0 12.0",
    "TORCH_CUDA_ARCH_LIST": "8.0 8.6 9.0 10.0 12.0+PTX",
}


def host(*gpus, driver="580.95.05", cuda="13.0", architecture="x86_64"):
    return Host(architecture=architecture, driver=driver, cuda=cuda, gpus=gpus)


def found(where, env=NGC, architectures=("amd64", "arm64")):
    return [(r.code, r.weight.value) for r in remarks(Needs.of(env, architectures), where)]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (host(H100), []),
        (host(GEFORCE), []),
        # Libraries for forward compatibility run on GPUs of data centres only.
        (host(H100, driver="535.183.01", cuda="12.2"), [("driver", "info")]),
        (host(GEFORCE, driver="535.183.01", cuda="12.2"), [("driver", "warning")]),
        (host(H100, GEFORCE, driver="535.183.01", cuda="12.2"), [("driver", "warning")]),
        (host(V100), [("capability", "error")]),
        (host(V100, H100), [("capability", "warning")]),
        # CUDA of later generations is made from PTX.
        (host(HostGpu(name="NVIDIA next", capability="13.0")), []),
        (host(H100, architecture="ppc64le"), [("architecture", "error")]),
        (host(H100, architecture="aarch64"), []),
        # Where there is no GPU, or nothing is known, nothing is claimed.
        (host(driver=""), []),
        (host(HostGpu(name="NVIDIA H100"), driver="", cuda=""), []),
        (Host(), []),
    ],
)
def test_an_image_is_held_against_its_host(where, said):
    assert said == found(where)
    assert works(Needs.of(NGC, ("amd64", "arm64")), where) == all(w == "info" for _, w in said)


def test_what_nvidias_hook_would_refuse_is_an_error():
    env = {"NVIDIA_REQUIRE_CUDA": "cuda>=13.2 brand=tesla,driver>=535,driver<536"}

    assert found(host(GEFORCE), env) == [("cuda", "error")]
    assert found(host(H100, driver="535.183.01", cuda="12.2"), env) == []


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"CUDA_DRIVER_VERSION": "new", "CUDA_ARCH_LIST": "all of them"},
        {"CUDA_DRIVER_VERSION": "9" * 5000, "NVIDIA_REQUIRE_CUDA": f"cuda>={'9' * 5000}"},
        {"NVIDIA_REQUIRE_CUDA": "cuda>=. x=1,,"},
    ],
)
def test_nonsense_of_an_image_does_no_harm(env):
    assert isinstance(found(host(GEFORCE), env), list)


TAGS = [f"{year}.{month:02}-py3" for year in (25, 24, 23, 22) for month in range(12, 0, -1)]


@pytest.mark.parametrize("newest", [*TAGS[:3], TAGS[20], TAGS[-1], ""])
async def test_the_newest_that_works_is_found_with_few_questions(newest):
    asked = []

    async def works_there(tag):
        asked.append(tag)
        return newest != "" and tag <= newest

    assert newest == await newest_that(works_there, TAGS)
    assert len(asked) <= 7


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((), ()),
        (("25.10-maxtext-py3", "25.10-py3", "25.04-py3"), ("25.10-py3", "25.04-py3")),
        (
            ("25.12-cuda12-py3.13", "25.12-cuda13-py3.9", "25.12-cuda13-py3.13"),
            ("25.12-cuda13-py3.13",),
        ),
    ],
)
def test_of_the_variants_of_a_version_the_plainest_is_meant(tags, expected):
    assert expected == plainest(tags)
