"""Image references are read as Docker reads them."""

from __future__ import annotations

import pytest

from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.images.reference import ImageReference

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest", "familiar"),
    [
        ("python", "docker.io", "library/python", "latest", "", "python:latest"),
        ("python:3.12-slim", "docker.io", "library/python", "3.12-slim", "", "python:3.12-slim"),
        ("docker.io/python", "docker.io", "library/python", "latest", "", "python:latest"),
        ("index.docker.io/python", "docker.io", "library/python", "latest", "", "python:latest"),
        ("team/image:1", "docker.io", "team/image", "1", "", "team/image:1"),
        ("localhost/image", "localhost", "image", "latest", "", "localhost/image:latest"),
        ("Host/image", "Host", "image", "latest", "", "Host/image:latest"),
        ("host:5000/a/b", "host:5000", "a/b", "latest", "", "host:5000/a/b:latest"),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest", "", "[::1]:5000/a:latest"),
        ("nvcr.io/nvidia/pytorch:25.10-py3", "nvcr.io", "nvidia/pytorch", "25.10-py3", "", None),
        (f"python@{DIGEST}", "docker.io", "library/python", "", DIGEST, None),
        (f"host.org/a:1@{DIGEST}", "host.org", "a", "1", DIGEST, None),
        ("a__b/c-d--e.f", "docker.io", "a__b/c-d--e.f", "latest", "", "a__b/c-d--e.f:latest"),
    ],
)
def test_a_reference_is_completed_and_shown_as_people_write_it(
    text, registry, repository, tag, digest, familiar
):
    reference = ImageReference.parse(text)

    assert reference == ImageReference(
        registry=registry, repository=repository, tag=tag, digest=digest
    )
    assert (familiar or text) == str(reference)
    assert reference == ImageReference.parse(str(reference))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "lower-case"),
        ("Python", "Did you mean"),
        ("team/Image", "Did you mean"),
        ("python:", "tag"),
        ("python:-1", "tag"),
        (f"python:{'a' * 129}", "tag"),
        ("python@sha256:12", "sha256:"),
        ("python@md5:12", "sha256:"),
        ("host.org:port/a", "registry"),
        ("-host.org/a", "registry"),
        ("a//b", "lower-case"),
        ("a/", "lower-case"),
        ("a___b", "lower-case"),
        ("python 3", "lower-case"),
        ("python\n", "lower-case"),
        ("$(id)", "lower-case"),
        ("a" * 256, "255"),
        ("0a" * 32, "not an id"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_rule_it_breaks(text, hint):
    with pytest.raises(InvalidSpecError) as refused:
        ImageReference.parse(text)

    assert hint in refused.value.hint
