"""The oldest engine that we support, and one that behaves as the next, pass the same tests."""

from __future__ import annotations

import pytest
from rig import ask
from rig.images import Images

from .test_docker_engine import (  # noqa: F401 - tests, run here on other engines
    built,
    client,
    reports,
    test_a_build_from_text_and_files,
    test_a_build_that_fails_shows_the_output_of_its_step,
    test_a_cancelled_build_leaves_no_container,
    test_a_mount_that_went_away_is_an_error,
    test_a_new_volume_is_labelled_and_removed_with_its_container,
    test_a_port_that_a_container_has_is_an_error,
    test_a_pull_brings_the_image_and_reports,
    test_a_refused_container_leaves_no_volume,
    test_a_registry_that_is_not_there_is_an_error,
    test_a_registry_that_wants_a_login_is_an_error,
    test_a_ulimit_beyond_the_hosts_is_an_error,
    test_an_image_that_is_missing_is_an_error,
    test_an_image_that_the_registry_does_not_have_is_an_error,
    test_any_port_is_one_that_is_free,
    test_files_are_there_before_the_command_starts,
    test_files_that_cannot_be_put_leave_no_container,
    test_twenty_containers_at_once,
)
from .test_docker_saving import (  # noqa: F401
    login,
    tag,
    tagged,
    test_a_commit_that_is_cancelled_leaves_no_image,
    test_a_registry_takes_an_image_and_says_its_digest,
    test_a_registry_that_wants_a_login_gets_the_users,
    test_an_image_that_is_not_there_cannot_be_pushed,
    test_an_image_without_any_command_does_not_get_the_containers,
    test_nothing_that_the_container_was_told_is_in_the_image,
)
from .test_engine_contract import (  # noqa: F401
    test_a_command_that_is_not_there_ends_with_127_and_a_log,
    test_a_container_is_found_by_its_new_name,
    test_a_name_is_given_once,
    test_a_program_that_is_not_there_is_told_by_the_exit_code,
    test_a_stopped_container_is_stopped_again,
    test_a_stream_ends_its_standard_input,
    test_a_stream_has_a_terminal_of_a_size,
    test_a_stream_keeps_output_and_errors_apart,
    test_a_stream_needs_a_running_container,
    test_events_tell_the_life_of_a_container_in_order,
    test_followed_logs_end_with_the_container,
    test_probe_says_who_the_engine_is,
    test_run_returns_how_a_command_ended,
    test_what_is_not_there_has_no_name_log_or_processes,
)

#: Starting an engine and giving it an image takes half a minute; only other versions of
#: Docker have other words for the same failures.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session", params=["engine_oldest", "engine_like_29"])
def docker_engine_url(request):
    return request.getfixturevalue(request.param).url


@pytest.fixture(scope="session")
def images(docker_engine_url):
    main = ask.answering_url()
    return Images(docker_engine_url, source=Images(main) if main else None)


@pytest.fixture
def engine_kind(docker_engine_url, images):
    # Asked for by name, so that pytest sees that every test depends on the parameter.
    return "docker"
