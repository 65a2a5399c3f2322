"""What the engine protocol promises, on every engine."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from jupyter_dlenv.errors import (
    ContainerNameTakenError,
    ContainerNotFoundError,
    EngineTimeoutError,
    EnvironmentNotRunningError,
)
from jupyter_dlenv.labels import ROLE

from .waiting import read_all, until, until_exited

#: Ends politely, with a code that nothing else gives.
POLITE = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


async def _said(engine, container_id, text):
    async def said():
        return text in b"".join([chunk async for chunk in engine.logs(container_id)])

    await until(said)


def _moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


async def test_probe_says_who_the_engine_is(engine, engine_kind):
    facts = await engine.probe()
    assert facts.kind == engine_kind
    assert facts.id
    assert facts.version
    assert facts.isolated == (engine_kind == "docker")
    assert (await engine.probe()).id == facts.id


async def test_a_created_container_does_not_run(engine, plan, test_labels):
    wanted = plan("echo never")
    container_id = await engine.create(wanted)
    state = await engine.inspect(container_id)
    assert (state.id, state.name, state.state) == (container_id, wanted.name, "created")
    assert test_labels.items() <= state.labels.items()
    assert state.started == ""
    assert state.exit_code is None
    assert datetime.now(timezone.utc) - _moment(state.created) < timedelta(minutes=1)


async def test_a_started_container_runs(engine, running):
    state = await engine.inspect(await running())
    assert state.state == "running"
    assert state.exit_code is None
    assert _moment(state.started) >= _moment(state.created)


async def test_starting_a_running_container_leaves_it_alone(engine, running):
    container_id = await running()
    before = await engine.inspect(container_id)
    await engine.start(container_id)
    assert await engine.inspect(container_id) == before


async def test_a_container_ends_with_the_exit_code_of_its_command(engine, running):
    state = await until_exited(engine, await running("exit 42"))
    assert state.exit_code == 42


async def test_an_ended_container_starts_again(engine, running):
    container_id = await running("echo again; exit 3")
    first = await until_exited(engine, container_id)
    await engine.start(container_id)

    async def said_twice():
        return b"".join([c async for c in engine.logs(container_id)]) == b"again\nagain\n"

    await until(said_twice)
    second = await until_exited(engine, container_id)
    assert second.started > first.started
    assert second.exit_code == 3


async def test_a_command_that_is_not_there_ends_with_127_and_a_log(engine, running):
    container_id = await running(command=("/nonsense",))
    assert (await until_exited(engine, container_id)).exit_code == 127
    log = b"".join([chunk async for chunk in engine.logs(container_id)])
    assert b"/nonsense" in log
    assert b"No such file" in log


async def test_the_command_gets_variables_and_working_directory(engine, running, tmp_path):
    container_id = await running('echo "$COLOUR in $PWD"', env={"COLOUR": "red"}, workdir="/tmp")
    await until_exited(engine, container_id)
    assert [chunk async for chunk in engine.logs(container_id)] == [b"red in /tmp\n"]


async def test_an_entrypoint_is_put_before_the_command(engine, running):
    container_id = await running(entrypoint=("/bin/echo", "put"), command=("before",))
    await until_exited(engine, container_id)
    assert [chunk async for chunk in engine.logs(container_id)] == [b"put before\n"]


async def test_a_name_is_given_once(engine, plan, test_labels):
    await engine.create(plan(name="contract-once"))
    with pytest.raises(ContainerNameTakenError):
        await engine.create(plan(name="contract-once"))
    assert len(await engine.list(test_labels)) == 1


async def test_of_two_creates_of_one_name_one_wins(engine, plan, test_labels):
    creates = [engine.create(plan(name="contract-race")) for _ in range(2)]
    results = await asyncio.gather(*creates, return_exceptions=True)
    assert sorted(type(r) for r in results if not isinstance(r, str)) == [ContainerNameTakenError]
    assert [s.id for s in await engine.list(test_labels)] == [
        r for r in results if isinstance(r, str)
    ]


async def test_a_container_is_found_by_its_new_name(engine, running, plan):
    container_id = await running(name="contract-before")
    await engine.rename(container_id, "contract-after")
    assert (await engine.inspect("contract-after")).id == container_id
    with pytest.raises(ContainerNotFoundError):
        await engine.inspect("contract-before")
    await engine.create(plan(name="contract-before"))


async def test_a_container_is_not_renamed_to_a_name_that_is_taken(engine, plan):
    await engine.create(plan(name="contract-first"))
    second = await engine.create(plan(name="contract-second"))
    with pytest.raises(ContainerNameTakenError):
        await engine.rename(second, "contract-first")
    assert (await engine.inspect(second)).name == "contract-second"


@pytest.mark.parametrize("verb", ["inspect", "start", "stop"])
async def test_what_is_not_there_is_not_found(engine, verb):
    with pytest.raises(ContainerNotFoundError):
        await getattr(engine, verb)("contract-nobody")


async def test_what_is_not_there_has_no_name_log_or_processes(engine):
    with pytest.raises(ContainerNotFoundError):
        await engine.rename("contract-nobody", "contract-somebody")
    with pytest.raises(ContainerNotFoundError):
        await engine.open_stream("contract-nobody", ("true",))
    with pytest.raises(ContainerNotFoundError):
        await anext(engine.logs("contract-nobody"))


async def test_list_knows_containers_in_any_state_by_all_their_labels(
    engine, plan, running, test_labels
):
    created = await engine.create(plan(labels={**test_labels, "kind": "a"}))
    runs = await running(labels={**test_labels, "kind": "a"})
    exited = await running("exit 0", labels={**test_labels, "kind": "b"})
    await until_exited(engine, exited)
    everyone = {state.id: state.state for state in await engine.list(test_labels)}
    assert everyone == {created: "created", runs: "running", exited: "exited"}
    assert {s.id for s in await engine.list({**test_labels, "kind": "a"})} == {created, runs}
    assert await engine.list({**test_labels, "kind": "c"}) == ()


async def test_stop_is_polite(engine, running):
    container_id = await running(POLITE)
    await _said(engine, container_id, b"ready")
    await engine.stop(container_id)
    state = await engine.inspect(container_id)
    assert (state.state, state.exit_code) == ("exited", 7)


async def test_stop_uses_force_in_the_end(engine, running):
    container_id = await running(STUBBORN)
    await _said(engine, container_id, b"ready")
    await engine.stop(container_id, timeout=1)
    state = await engine.inspect(container_id)
    assert (state.state, state.exit_code) == ("exited", 137)


async def test_a_stopped_container_is_stopped_again(engine, running):
    container_id = await running("exit 4")
    await until_exited(engine, container_id)
    await engine.stop(container_id)
    assert (await engine.inspect(container_id)).exit_code == 4


async def test_a_running_container_is_removed(engine, running):
    container_id = await running(STUBBORN)
    await engine.remove(container_id)
    with pytest.raises(ContainerNotFoundError):
        await engine.inspect(container_id)


async def test_removing_what_is_gone_is_not_an_error(engine, plan):
    container_id = await engine.create(plan())
    await asyncio.gather(engine.remove(container_id), engine.remove(container_id))
    await engine.remove(container_id)
    await engine.remove("contract-nobody")


async def test_run_returns_how_a_command_ended(engine, plan, test_labels):
    result = await engine.run(plan("echo out; echo err >&2; exit 5"), timeout=60)
    assert (result.exit_code, result.stdout, result.stderr) == (5, b"out\n", b"err\n")
    assert await engine.list(test_labels) == ()


async def test_run_cuts_off_long_output(engine, plan):
    result = await engine.run(plan("head -c 3000000 /dev/zero; echo end >&2"), timeout=60)
    assert len(result.stdout) == 1024 * 1024
    assert result.stderr == b"end\n"


async def test_run_removes_what_takes_too_long(engine, plan, test_labels):
    with pytest.raises(EngineTimeoutError):
        await engine.run(plan(), timeout=1)
    assert await engine.list(test_labels) == ()


async def test_a_cancelled_run_leaves_nothing(engine, plan, test_labels, tmp_path):
    running = asyncio.create_task(engine.run(plan(), timeout=60))
    await asyncio.wait([running], timeout=0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await engine.list(test_labels) == ()


async def test_a_cancelled_create_leaves_nothing(engine, plan, test_labels):
    for turns in range(6):
        creating = asyncio.create_task(engine.create(plan()))
        for _ in range(turns):
            await asyncio.sleep(0)
        creating.cancel()
        await asyncio.wait([creating])
        if not creating.cancelled():
            # It was faster than we; whoever has the id removes it.
            await engine.remove(creating.result())
        assert await engine.list(test_labels) == ()


async def test_logs_have_all_output_or_the_last_lines(engine, running):
    container_id = await running("for i in 1 2 3 4; do echo line $i; done")
    await until_exited(engine, container_id)
    everything = b"".join([chunk async for chunk in engine.logs(container_id)])
    assert everything == b"line 1\nline 2\nline 3\nline 4\n"
    assert b"".join([c async for c in engine.logs(container_id, tail=2)]) == b"line 3\nline 4\n"
    assert b"".join([c async for c in engine.logs(container_id, tail=9)]) == everything


async def test_followed_logs_end_with_the_container(engine, running):
    container_id = await running("echo first; sleep 0.5; echo last")
    followed = b"".join([chunk async for chunk in engine.logs(container_id, follow=True)])
    assert followed == b"first\nlast\n"


async def test_followed_logs_end_when_the_container_is_removed(engine, running):
    container_id = await running("echo first; sleep 1000")
    logs = engine.logs(container_id, follow=True)
    assert await anext(logs) == b"first\n"
    await engine.remove(container_id)
    assert [chunk async for chunk in logs] == []


async def test_whoever_follows_logs_can_go(engine, running):
    container_id = await running("echo first; sleep 1000")
    logs = engine.logs(container_id, follow=True)
    assert await anext(logs) == b"first\n"
    await asyncio.wait_for(logs.aclose(), 1)
    assert (await engine.inspect(container_id)).state == "running"


async def test_a_stream_keeps_output_and_errors_apart(engine, running):
    stream = await engine.open_stream(
        await running(), ("/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    )
    assert await read_all(stream) == (b"out\n", b"err\n")
    assert await stream.wait() == 3
    await stream.aclose()


async def test_a_stream_ends_its_standard_input(engine, running):
    stream = await engine.open_stream(await running(), ("cat",))
    await stream.write(b"abc")
    await stream.write(b"def")
    await stream.close_stdin()
    assert await read_all(stream) == (b"abcdef", b"")
    assert await stream.wait() == 0
    await stream.aclose()


async def test_a_stream_carries_megabytes_both_ways(engine, running):
    stream = await engine.open_stream(await running(), ("cat",))
    sent = bytes(range(256)) * 16384
    reading = asyncio.create_task(read_all(stream))
    await stream.write(sent)
    await stream.close_stdin()
    assert await reading == (sent, b"")
    await stream.aclose()


async def test_a_cancelled_read_loses_nothing(engine, running):
    stream = await engine.open_stream(await running(), ("/bin/sh", "-c", "read x; echo $x"))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(stream.read(), 0.1)
    await stream.write(b"late\n")
    assert await read_all(stream) == (b"late\n", b"")
    await stream.aclose()


async def test_what_comes_is_handed_on_as_it_comes(engine, running):
    script = 'echo first; read x; head -c 3000000 /dev/zero; echo "$x" >&2; echo last'
    stream = await engine.open_stream(await running(), ("/bin/sh", "-c", script))
    assert await stream.read() == (1, b"first\n")
    said = {1: b"", 2: b""}

    def take(kind, data):
        said[kind] += data

    taking = asyncio.create_task(stream.hand_on(take))
    await stream.write(b"word\n")
    await asyncio.wait_for(taking, 30)

    assert said == {1: bytes(3_000_000) + b"last\n", 2: b"word\n"}
    assert await stream.wait() == 0
    await stream.aclose()


async def test_wait_discards_what_nobody_read(engine, running):
    stream = await engine.open_stream(await running(), ("head", "-c", "500000", "/dev/zero"))
    assert await asyncio.wait_for(stream.wait(), 30) == 0
    await stream.aclose()


async def test_a_stream_has_a_terminal_of_a_size(engine, running):
    stream = await engine.open_stream(await running(), ("/bin/sh",), tty=True)
    await stream.resize(123, 45)
    await stream.write(b"stty size; exit 6\n")
    output, errors = await read_all(stream)
    assert b"45 123" in output
    assert errors == b""
    assert await stream.wait() == 6
    await stream.resize(80, 24)
    await stream.write(b"too late")
    await stream.aclose()


async def test_a_stream_gets_variables_and_working_directory(engine, running):
    container_id = await running(env={"COLOUR": "red", "SHAPE": "round"})
    stream = await engine.open_stream(
        container_id,
        ("/bin/sh", "-c", 'echo "$COLOUR $SHAPE $PWD"'),
        env={"SHAPE": "square"},
        workdir="/usr",
    )
    assert await read_all(stream) == (b"red square /usr\n", b"")
    await stream.aclose()


async def test_a_program_that_is_not_there_is_told_by_the_exit_code(engine, running):
    stream = await engine.open_stream(await running(), ("nonsense",))
    output, errors = await read_all(stream)
    assert b"not found" in output + errors
    # Docker 20.10 says 126.
    assert await stream.wait() in (126, 127)
    await stream.aclose()


async def test_a_process_sees_its_input_end_when_its_stream_is_let_go(engine, running):
    container_id = await running()
    stream = await engine.open_stream(
        container_id,
        ("/bin/sh", "-c", "cat >/dev/null; echo over >/tmp/$NAME; sleep 1"),
        env={"NAME": container_id},
    )
    await stream.aclose()

    async def over():
        looking = await engine.open_stream(container_id, ("cat", f"/tmp/{container_id}"))
        output, _ = await read_all(looking)
        await looking.aclose()
        return output == b"over\n"

    await until(over)
    cleaning = await engine.open_stream(container_id, ("rm", f"/tmp/{container_id}"))
    assert await cleaning.wait() == 0
    await cleaning.aclose()


async def test_a_stream_needs_a_running_container(engine, plan):
    container_id = await engine.create(plan())
    with pytest.raises(EnvironmentNotRunningError):
        await engine.open_stream(container_id, ("true",))


async def test_a_stream_ends_with_its_container(engine, running):
    container_id = await running()
    stream = await engine.open_stream(container_id, ("cat",))
    await engine.stop(container_id, timeout=1)
    await asyncio.wait_for(read_all(stream), 10)
    await stream.aclose()


async def test_events_tell_the_life_of_a_container_in_order(engine, plan, test_labels):
    events = engine.events()
    container_id = await engine.create(plan("exit 0"))

    async def next_action():
        while (event := await anext(events)).container_id != container_id:
            pass
        assert test_labels.items() <= event.labels.items()
        return event.action

    assert await asyncio.wait_for(next_action(), 10) == "create"
    await engine.rename(container_id, "contract-renamed")
    assert await asyncio.wait_for(next_action(), 10) == "rename"
    await engine.start(container_id)
    assert await asyncio.wait_for(next_action(), 10) == "start"
    assert await asyncio.wait_for(next_action(), 10) == "die"
    await engine.remove(container_id)
    assert await asyncio.wait_for(next_action(), 10) == "destroy"
    await events.aclose()


async def test_events_are_of_our_containers_only(engine, plan, test_labels):
    events = engine.events()
    stranger = await engine.create(plan(labels={"other": "label"}))
    ours = await engine.create(plan())
    first = await asyncio.wait_for(anext(events), 10)
    while first.labels.get("org.jupyter-dlenv.test") not in test_labels.values():
        first = await asyncio.wait_for(anext(events), 10)
    assert first.container_id == ours
    await events.aclose()
    await engine.remove(stranger)


async def test_claims_on_gpus_are_of_containers_that_run_or_are_about_to(engine, plan, test_labels):
    async def claimants():
        return {claim.state.id for claim in await engine.gpu_claims()}

    labels = {**test_labels, ROLE: "environment"}
    container_id = await engine.create(plan(labels=labels))
    assert container_id in await claimants()
    await engine.start(container_id)
    assert container_id in await claimants()
    await engine.stop(container_id, timeout=1)

    assert container_id not in await claimants()


async def test_the_engines_clock_is_the_one_by_which_it_dates_containers(engine, plan):
    before = await engine.clock()
    state = await engine.inspect(await engine.create(plan()))

    made = datetime.fromisoformat(state.created.replace("Z", "+00:00"))
    assert before - timedelta(seconds=2) < made < await engine.clock() + timedelta(seconds=2)
