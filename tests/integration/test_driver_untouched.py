"""Nobody asks the NVIDIA driver anything before somebody looks at GPUs."""

from __future__ import annotations

import pytest
from rig import servers
from rig.nvml import FakeNvml, build


@pytest.fixture
def fake(tmp_path):
    return FakeNvml(build(tmp_path), tmp_path)


def test_a_server_that_starts_and_lists_does_not_load_the_driver(fake, tmp_path):
    # Registries are no matter here: where nobody listens, they are away at once.
    environ = {**fake.environ, "HTTPS_PROXY": "http://127.0.0.1:9"}
    with servers.serving(tmp_path, environ) as server:
        listed = server.get("dlenv/api/environments")
        calls, loaded = fake.calls, "libnvidia-ml" in server.libraries()
        server.get("dlenv/api/doctor")

        assert {"environments": []} == listed
        assert ([], False) == (calls, loaded)
        # Whoever looks does find it there.
        assert "nvmlInitWithFlags" in fake.calls
        assert "libnvidia-ml" in server.libraries()
