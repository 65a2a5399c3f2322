"""What is taken out of an address before others see it."""

from __future__ import annotations

import pytest

from jupyter_dlenv.secrecy import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("tcp://me:secret@example.org:2376", "tcp://me@example.org:2376"),
        ("ssh://me:se@cret@example.org", "ssh://me@example.org"),
        ("tcp://example.org:2376/?token=secret#secret", "tcp://example.org:2376/"),
        ("tcp://me:secret@[::1", "tcp://me@[::1"),
        ("ssh://me:se/cr?et@gpu1", "ssh://me@gpu1"),
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("ssh://gpu1", "ssh://gpu1"),
        ("docker", "docker"),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    assert shown == without_password(url)
