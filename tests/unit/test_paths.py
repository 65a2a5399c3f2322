"""Which path of the host is which path inside."""

from __future__ import annotations

import pytest

from jupyter_dlenv.kernels.paths import to_host, to_inside
from jupyter_dlenv.models import Mount

MOUNTS = (Mount.parse("/home/alice:/inside"), Mount.parse("/data:/inside/data"))


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("/home/alice", "/inside"),
        ("/home/alice/a.py", "/inside/a.py"),
        ("/data/x", "/inside/data/x"),
    ],
)
def test_a_path_is_translated_there_and_back(host, inside):
    assert inside == to_inside(host, MOUNTS)
    assert host == to_host(inside, MOUNTS)


@pytest.mark.parametrize("path", ["/home/alicea", "/etc/passwd", ""])
def test_a_path_that_no_mount_holds_has_no_counterpart(path):
    assert "" == to_inside(path, MOUNTS)


def test_the_innermost_mount_is_the_one_that_is_seen():
    assert "/data/y" == to_host("/inside/data/y", MOUNTS)
