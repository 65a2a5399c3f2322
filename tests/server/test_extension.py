"""Loading the extension costs nothing, whatever state the engine is in, and so does stopping it."""

from __future__ import annotations

import pytest

from jupyter_dlenv.server.app import DlenvApp


@pytest.mark.parametrize("engine", ["unix:///nonexistent/docker.sock"])
async def test_an_engine_that_is_away_is_answered_with_what_to_try(api, started, jp_fetch):
    answers = [
        await api.get("/environments"),
        await api.get("/engine"),
        await api.get("/images"),
        await api.post("/environments/a/start"),
    ]
    accepted = await api.post("/environments", {"name": "a", "image": "python"})
    job = await api.ended(accepted.json["id"])
    specs = await jp_fetch("api", "kernelspecs")

    assert [(503, "engine-unreachable")] * 4 == [(a.code, a.error["code"]) for a in answers]
    assert all(answer.error["hint"] for answer in answers)
    assert ("failed", "engine-unreachable") == (job["phase"], job["error"]["code"])
    assert 200 == specs.code


@pytest.mark.parametrize("engine", ["no-such-engine"])
async def test_an_engine_that_nobody_knows_is_answered_and_the_server_runs(api, started):
    answer = await api.get("/environments")

    assert (503, "unknown-engine") == (answer.code, answer.error["code"])


@pytest.mark.parametrize("engine", ["unix:///nonexistent/docker.sock"])
def test_loading_opens_no_engine(dlenv):
    assert dlenv.engines.opened == ()


def test_the_kernelspecs_of_environments_are_found_before_the_others(dlenv, jp_serverapp):
    assert jp_serverapp.kernel_spec_manager.kernel_dirs[0] == dlenv.configuration.kernelspecs_dir


def test_the_configuration_file_has_the_name_that_the_documentation_says(dlenv):
    assert "jupyter_dlenv_config" == dlenv.config_file_name


async def test_an_extension_that_was_never_loaded_can_be_stopped():
    await DlenvApp().stop_extension()


async def test_stopping_twice_is_harmless(started, jp_serverapp):
    await jp_serverapp.cleanup_extensions()
    await jp_serverapp.cleanup_extensions()


@pytest.mark.parametrize("trait", ["progress_interval", "job_memory"])
def test_every_trait_says_what_it_is_for(trait):
    assert DlenvApp.class_traits()[trait].help
