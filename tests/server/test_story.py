"""From a request to a cell's output, through nothing but what a browser has."""

from __future__ import annotations

import json

import pytest

from jupyter_dlenv.server.events import ENVIRONMENT, PROGRESS

from .client import until

pytestmark = pytest.mark.parametrize(
    "engine", ["process", pytest.param("docker", marks=pytest.mark.docker)]
)


@pytest.fixture
def image(engine, request):
    if engine == "process":
        return "python"
    return request.getfixturevalue("images").ensure("kernel")


@pytest.fixture
def configuration(configuration, engine, request):
    if engine == "docker":
        configuration["engine"] = request.getfixturevalue("docker_engine_url")
    return configuration


@pytest.mark.timeout(120)
async def test_a_notebook_runs_in_an_environment_that_was_launched_over_rest(
    api, launched, started, event_log, start_kernel, jp_fetch, jp_root_dir
):
    job = await launched("story")
    specs = json.loads((await jp_fetch("api", "kernelspecs")).body)["kernelspecs"]
    kernel = await start_kernel("dlenv-story")
    await kernel.execute("x = 41")
    output = await kernel.execute("import os; (x + 1, os.environ['DLENV_ENVIRONMENT'])")
    written = await kernel.execute("print(open('written', 'w').write('hello'), os.getcwd())")

    assert "ready" == job["phase"], job["error"]
    assert (
        "dlenv-provisioner"
        == (specs["dlenv-story"]["spec"]["metadata"]["kernel_provisioner"]["provisioner_name"])
    )
    assert "(42, 'story')" == output
    assert f"5 {jp_root_dir}\n" == written
    assert "hello" == (jp_root_dir / "written").read_text()

    await kernel.aclose()
    stopped = await api.post("/environments/story/stop")
    assert "stopped" == stopped.json.get("status"), stopped.body

    async def heard(action):
        await until(lambda: action in actions(event_log), seen=lambda: event_log.received[-5:])

    await heard("stopped")
    await api.delete("/environments/story")
    await heard("removed")
    assert ["launched", "stopped", "removed"] == actions(event_log)
    phases = [event["phase"] for event in event_log.of(PROGRESS)]
    assert ("queued", "ready") == (phases[0], phases[-1])
    specs = json.loads((await jp_fetch("api", "kernelspecs")).body)["kernelspecs"]
    assert "dlenv-story" not in specs


def actions(event_log) -> list[str]:
    return [event["action"] for event in event_log.of(ENVIRONMENT)]
