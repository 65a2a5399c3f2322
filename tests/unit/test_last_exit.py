"""From what an agent or an engine says of an end to a sentence that helps."""

from __future__ import annotations

import signal

import pytest

from jupyter_dlenv.kernels.last_exit import explain_environment, explain_kernel
from jupyter_dlenv.kernels.link import KernelExit
from jupyter_dlenv.models import Environment, EnvironmentSpec, Status

MB = 1024**2
WHOSE = {"kernel_id": "k", "environment": "bert"}


@pytest.mark.parametrize(
    ("ended", "cause", "words"),
    [
        ({"exit_code": 7}, "exit", "exit code 7"),
        ({"signal": signal.SIGSEGV}, "signal", "SIGSEGV"),
        ({"signal": signal.SIGKILL, "out_of_memory": True}, "out-of-memory", "memory"),
        ({"signal": signal.SIGBUS}, "shared-memory-full", "64 MB"),
        ({"signal": signal.SIGABRT, "shm_free": 0}, "shared-memory-full", "64 MB"),
        ({"signal": signal.SIGBUS, "shm_size": 0, "shm_free": 0}, "signal", "SIGBUS"),
        ({"signal": signal.SIGTERM, "stopping": True}, "environment-stopped", "'bert'"),
        ({"stopping": True, "reason": "idle"}, "environment-idle", "nobody"),
    ],
)
def test_the_end_of_a_kernel_is_explained(ended, cause, words):
    facts = {"signal": 0, "shm_size": 64 * MB, "shm_free": 60 * MB, **ended}
    facts.setdefault("exit_code", -facts["signal"])

    last = explain_kernel(KernelExit(log="last words", **facts), **WHOSE)

    assert cause == last.cause
    assert words in last.message
    assert last.hint
    assert "last words" not in str(last.to_event())
    assert "last words" == last.to_json()["log"]


def environment(exit_code, *, out_of_memory=False):
    return Environment(
        id="0123456789",
        spec=EnvironmentSpec(name="bert", image="x"),
        status=Status.STOPPED,
        container_id="c",
        image_id="i",
        owner="o",
        engine="docker",
        created="",
        started="",
        exit_code=exit_code,
        out_of_memory=out_of_memory,
        runtime_dir="/r",
        home="/h",
    )


@pytest.mark.parametrize(
    ("found", "engine_error", "cause"),
    [
        (environment(0), "", "environment-stopped"),
        (environment(137), "", "environment-stopped"),
        (environment(137, out_of_memory=True), "", "environment-out-of-memory"),
        (environment(3), "", "environment-ended"),
        (None, "", "environment-removed"),
        (None, "The engine is away.", "environment-ended"),
    ],
)
def test_the_end_of_an_environment_explains_that_of_its_kernels(found, engine_error, cause):
    last = explain_environment(found, engine_error=engine_error, **WHOSE)

    assert cause == last.cause
    assert last.of_environment
    assert engine_error in last.hint
