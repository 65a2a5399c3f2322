"""Ten processes that launch at the same moment never get the same GPU; the benchmark in short."""

from __future__ import annotations

from benchmarks.lease_race import race
from rig.gpu_host import let_the_engine_have_gpus


def test_no_gpu_is_given_twice_and_none_is_lost(engine_name, request):
    url = ""
    if engine_name == "docker":
        url = request.getfixturevalue("docker_engine_url")
        let_the_engine_have_gpus(url)

    result = race(engine_name, 4, url=url)

    assert result.good, str(result)
    assert result.given
    assert result.refused
