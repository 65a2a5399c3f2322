"""dlenv.lock: it keeps an image to its digest, and can lead nowhere else."""

from __future__ import annotations

import pytest

from jupyter_dlenv.engines.base import ImageFacts
from jupyter_dlenv.errors import InvalidSpecFileError, LockOutdatedError
from jupyter_dlenv.lockfile import Lock, lock_of, read_lock, write_lock

DIGEST = f"sha256:{'1' * 64}"
OTHER = f"sha256:{'2' * 64}"
ID = f"sha256:{'3' * 64}"
PYTORCH = "nvcr.io/nvidia/pytorch"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dlenv.lock"


def facts(*digests):
    return ImageFacts(id=ID, digests=digests)


def test_the_digest_is_that_of_the_projects_repository(path):
    found = facts(f"mirror.example.com/pytorch@{OTHER}", f"{PYTORCH}@{DIGEST}")

    lock = lock_of(f"{PYTORCH}:25.10", f"{PYTORCH}:25.10", found)

    assert lock.digest == DIGEST
    assert lock.pinned(f"{PYTORCH}:25.10", path=path) == f"{PYTORCH}:25.10@{DIGEST}"


def test_an_image_with_a_digest_is_pinned_as_it_is(path):
    image = f"{PYTORCH}@{DIGEST}"

    assert lock_of(image, image, facts()).pinned(image, path=path) == image


def test_a_short_name_is_pinned_to_what_it_meant(path):
    lock = lock_of("pytorch", f"{PYTORCH}:25.10-py3", facts(f"{PYTORCH}@{DIGEST}"))
    write_lock(path, lock)

    pinned = read_lock(path).pinned("pytorch", path=path, repository=PYTORCH)

    assert pinned == f"{PYTORCH}:25.10-py3@{DIGEST}"


@pytest.mark.parametrize("repository", ["", PYTORCH])
def test_a_lock_cannot_name_another_repository(path, repository):
    lock = Lock(image="pytorch", reference="evil.example.com/x:1", digest=DIGEST)

    with pytest.raises(LockOutdatedError, match=r"evil\.example\.com"):
        lock.pinned("pytorch", path=path, repository=repository)


def test_a_lock_for_another_image_is_out_of_date(path):
    with pytest.raises(LockOutdatedError, match="pins a, but b is wanted"):
        Lock(image="a", reference="a", digest=DIGEST).pinned("b", path=path)


def test_what_is_written_is_read(path):
    lock = Lock(image="a/b:1", reference="a/b:1", digest=DIGEST, image_id=ID)

    write_lock(path, lock)

    assert read_lock(path) == lock
    assert [p.name for p in path.parent.iterdir() if "lock" in p.name] == ["dlenv.lock"]


def test_no_lock_is_no_failure(path):
    assert read_lock(path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version = 2\nimage = 'a'\nid = 'sha256:1'",
        f"version = 1\nimage = 'a'\ndigest = 'sha256:{'1' * 63}'",
        f"version = 1\nimage = 'a'\ndigest = '{DIGEST} --privileged'",
        "version = 1\nimage = 'a'",
        "version = 1\nimage = 3",
        "version = ",
    ],
)
def test_a_lock_that_is_none_is_refused(path, text):
    path.write_text(text)

    with pytest.raises(InvalidSpecFileError):
        read_lock(path)
