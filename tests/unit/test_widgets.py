"""The widgets: the form's choices, what can be observed, and pages that nobody can write into."""

from __future__ import annotations

import threading

import pytest

from jupyter_dlenv import ConnectionCard, EnvironmentLauncher
from jupyter_dlenv.gpu_view import GpuView
from jupyter_dlenv.gpus.holders import Holders
from jupyter_dlenv.gpus.inventory import DriverState, Gpu, Inventory
from jupyter_dlenv.models import Environment, EnvironmentSpec, PortMapping, Status
from jupyter_dlenv.widgets.board import board


@pytest.fixture
def here(tmp_path, monkeypatch, jp_config_dir, jp_environ):
    monkeypatch.setenv("DLENV_ENGINE", "process")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(form):
    """Wait until the form says that the launch has ended."""
    done = threading.Event()
    form.observe(
        lambda change: change["new"] in ("ready", "failed", "cancelled") and done.set(), "phase"
    )
    form.launch()
    assert done.wait(60)


def test_the_form_launches_and_tells_whoever_observes_it(here):
    form = EnvironmentLauncher(image="python", name="w")
    phases = []
    form.observe(lambda change: phases.append(change["new"]), "phase")

    ended(form)

    try:
        assert phases[0] == "queued"
        assert phases[-1] == "ready"
        assert "42" == form.environment.run("6 * 7").text
        assert [str(here)] == [m.source for m in form.environment.environment.spec.mounts]
    finally:
        form.environment.remove()


def test_a_launch_that_fails_says_why_in_the_form(here):
    form = EnvironmentLauncher(image="python", ports=["nonsense"])

    ended(form)

    assert "failed" == form.phase
    assert "not a port mapping" in form.error
    assert form.environment is None
    assert not form.launch_button.disabled


def test_no_page_obeys_what_it_shows():
    spec = EnvironmentSpec(name="a", image="<b>x</b>")
    given = Environment(
        id="1",
        spec=spec,
        status=Status.RUNNING,
        container_id="c",
        image_id="i",
        owner="me",
        engine="docker",
        ports=(PortMapping(container_port=80, host_port=8080),),
    )
    gpu = Gpu(index=0, uuid="GPU-0", name="NVIDIA <script>", memory_total=2**30)
    inventory = Inventory(driver_state=DriverState.OK, gpus=(gpu,))
    view = GpuView(inventory=inventory, holders=Holders(by_uuid={"GPU-0": "<i>"}), fenced={})

    card = ConnectionCard(given).value

    assert "127.0.0.1:8080" in card
    assert "<b>" not in card
    assert "<script>" not in board(view)
    assert "&lt;script&gt;" in board(view)
    assert "&lt;i&gt;" in board(view)


def test_the_form_says_what_it_wants_as_a_request_and_as_a_command(here):
    form = EnvironmentLauncher(image="python", env={"A": "b c"}, mounts=["/data:/data:ro"])
    choices = form.choices

    choices.gpus.value = 2
    choices.waits.value = True
    choices.idle_stop.value = "30"

    wanted = {
        "image": "python",
        "gpus": 2,
        "mounts": ["/data:/data:ro"],
        "env": {"A": "b c"},
        "idle_stop": 30,
    }
    assert wanted == choices.wanted()
    assert (
        "launch python --gpus 2 --mount /data:/data:ro --env 'A=b c' --idle-stop 30 --wait-for-gpus"
        == choices.command()
    )


def test_the_form_says_what_is_wrong_before_anybody_launches(here):
    form = EnvironmentLauncher(image="python")

    form.choices.ports.value = "nonsense"
    refused = form.choices.problem()
    form.choices.ports.value = "8080:80"

    assert "not a port mapping" in refused
    assert not form.choices.problem()


def test_gpus_can_be_picked_by_hand(here):
    form = EnvironmentLauncher(image="python", gpus="device=GPU-1")

    form.choices.offer_devices({"GPU-0": "GPU 0", "GPU-1": "GPU 1"})
    form.choices.devices.value = ["GPU-0", "GPU-1"]

    assert "device=GPU-0,GPU-1" == form.choices.wanted()["gpus"]
