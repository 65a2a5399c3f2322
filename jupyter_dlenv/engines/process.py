"""The engine without containers: plain processes of this machine, isolated from nothing."""

from __future__ import annotations

import asyncio
import mmap
import os
import platform
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import psutil

from ..errors import (
    CapabilityMissingError,
    ContainerNotFoundError,
    EngineError,
    EngineTimeoutError,
    EnvironmentNotRunningError,
)
from ..labels import PREFIX
from .base import (
    ContainerPlan,
    ContainerState,
    EngineEvent,
    EngineFacts,
    RunResult,
    Stream,
)
from .completion import to_its_end
from .gpu_claims import GpuClaim
from .process_store import ProcessStore, Record
from .process_stream import ProcessStream

T = TypeVar("T")

_THREADS = 4
_LOOK_SECONDS = 0.1
_EVENT_SECONDS = 0.5
_KILL_SECONDS = 10
_OUTPUT_LIMIT = 1024 * 1024
_PIECE = 64 * 1024

#: What a process may know of ours.  Tokens and passwords are in other variables.
_PASSED_ON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
    | {"XDG_RUNTIME_DIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
)


class ProcessEngine:
    """Runs each container's command as a process of the calling user.

    For demos, Binder and tests.  Images, mounts, users and limits are ignored, since a
    process has this machine's; what cannot be ignored in good faith is refused.

    Args:
        directory: Where its containers are; shared by all processes of the user.
        name: Under which the user knows it.
    """

    address = "process"

    def __init__(self, directory: Path, *, name: str = "process") -> None:
        self.name = name
        self._store = ProcessStore(directory)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dlenv-process")
        self._observing: Future[dict[str, ContainerState]] | None = None

    async def probe(self) -> EngineFacts:
        place = f"{platform.node()}:{self._store.root.absolute()}"
        return EngineFacts(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, place)),
            kind="process",
            version=platform.release(),
            os=platform.system(),
            architecture=platform.machine(),
            isolated=False,
            data_root=str(self._store.root),
            cpus=os.cpu_count() or 0,
            memory=psutil.virtual_memory().total,
        )

    def shares_sockets(self) -> bool:
        return True

    async def create(self, plan: ContainerPlan) -> str:
        _check_possible(plan)
        await self._observed_before()
        creating: Future[str] = self._threads.submit(self._store.create, plan, _environment(plan))
        try:
            return await to_its_end(asyncio.wrap_future(creating))
        except asyncio.CancelledError:
            if creating.exception() is None:
                await self.remove(creating.result())
            raise

    async def rename(self, container_id: str, name: str) -> None:
        await self._call(self._store.rename, container_id, name)

    async def start(self, container_id: str) -> None:
        await self._call(self._store.start, container_id)

    async def inspect(self, container_id: str) -> ContainerState:
        return (await self._get(container_id)).state

    async def list(self, labels: Mapping[str, str]) -> tuple[ContainerState, ...]:
        records = await self._call(self._store.all)
        states = (record.state for record in records)
        return tuple(state for state in states if labels.items() <= state.labels.items())

    async def stop(self, container_id: str, *, timeout: float = 10) -> None:
        record = await self._get(container_id)
        if not await self._end(record, signal.SIGTERM, timeout):
            await self._kill(record)

    async def remove(self, container_id: str, *, volumes: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        try:
            record = await self._get(container_id)
        except ContainerNotFoundError:
            return
        await to_its_end(self._remove(record))

    async def run(self, plan: ContainerPlan, *, timeout: float) -> RunResult:
        _check_possible(plan)
        stream = await ProcessStream.open(
            (*(plan.entrypoint or ()), *plan.command),
            env=_environment(plan),
            cwd=plan.workdir or str(Path.home()),
        )
        try:
            await stream.close_stdin()
            return await asyncio.wait_for(_result(stream), timeout)
        except asyncio.TimeoutError as error:
            raise EngineTimeoutError(
                f"{plan.command[0]} had not ended after {timeout:.0f} s."
            ) from error
        finally:
            await to_its_end(stream.kill())
            await stream.aclose()

    async def logs(
        self, container_id: str, *, follow: bool = False, tail: int = 0
    ) -> AsyncIterator[bytes]:
        record = await self._get(container_id)
        position = await self._call(_tail_position, record.log, tail)
        while True:
            # Asked before the log is read, so that its last lines are not missed.
            running = follow and await self._runs(record)
            while data := await self._call(_read_at, record.log, position):
                position += len(data)
                yield data
            if not running:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def events(self) -> AsyncIterator[EngineEvent]:
        # What happens between this call and the first ``anext`` is not lost.
        self._observing = self._threads.submit(self._observed)
        return self._events(self._observing)

    async def open_stream(
        self,
        container_id: str,
        argv: tuple[str, ...],
        *,
        tty: bool = False,
        env: Mapping[str, str] | None = None,
        user: str = "",  # noqa: ARG002
        workdir: str = "",
    ) -> Stream:
        record = await self._get(container_id)
        if not record.pid:
            raise EnvironmentNotRunningError("The environment is not running.")
        return await ProcessStream.open(
            # A program that is not there is told of by the stream, as by other engines.
            ("/bin/sh", "-c", 'exec "$@"', "sh", *argv),
            env={**record.environment, **(env or {})},
            cwd=workdir or record.workdir or str(Path.home()),
            tty=tty,
        )

    async def gpu_claims(self) -> tuple[GpuClaim, ...]:
        states = await self.list({})
        return tuple(GpuClaim(state=s) for s in states if s.state != "exited")

    async def clock(self) -> datetime:
        return datetime.now(timezone.utc)

    async def diagnostics(self) -> Mapping[str, Any]:
        return {}

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _observed_before(self) -> None:
        """Wait for a first look that was asked for, lest it sees what comes after it."""
        if self._observing and not self._observing.done():
            await asyncio.wait([asyncio.wrap_future(self._observing)])

    async def _call(self, work: Callable[..., T], *arguments: object) -> T:
        await self._observed_before()
        loop = asyncio.get_running_loop()
        try:
            return await to_its_end(loop.run_in_executor(self._threads, work, *arguments))
        except OSError as error:
            raise EngineError(
                f"The process engine failed in {self._store.root}.", detail=str(error)
            ) from error

    async def _get(self, container_id: str) -> Record:
        return await self._call(self._store.get, container_id)

    async def _runs(self, record: Record) -> bool:
        try:
            return bool((await self._get(record.state.id)).pid)
        except ContainerNotFoundError:
            return False

    async def _end(self, record: Record, signum: signal.Signals, timeout: float) -> bool:
        if record.pid:
            with suppress(ProcessLookupError):
                os.killpg(record.pid, signum)
        end = time.monotonic() + timeout
        while await self._runs(record):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_LOOK_SECONDS / 2)
        return True

    async def _kill(self, record: Record) -> None:
        if not await self._end(record, signal.SIGKILL, _KILL_SECONDS):
            raise EngineTimeoutError("A process of the environment cannot be ended.")

    async def _remove(self, record: Record) -> None:
        await self._kill(record)
        await self._call(self._store.forget, record)

    def _observed(self) -> dict[str, ContainerState]:
        states = (record.state for record in self._store.all())
        return {s.id: s for s in states if any(key.startswith(PREFIX) for key in s.labels)}

    async def _events(
        self, observing: Future[dict[str, ContainerState]]
    ) -> AsyncIterator[EngineEvent]:
        before = await asyncio.wrap_future(observing)
        while True:
            await asyncio.sleep(_EVENT_SECONDS)
            now = await self._call(self._observed)
            for container_id in before | now:
                known = now.get(container_id) or before[container_id]
                for action in _changes(before.get(container_id), now.get(container_id)):
                    yield EngineEvent(action=action, container_id=container_id, labels=known.labels)
            before = now


def _check_possible(plan: ContainerPlan) -> None:
    for wanted, what in (
        (plan.ports, "publish ports: its processes use those of this machine"),
        (plan.files, "put files into a container"),
    ):
        if wanted:
            raise CapabilityMissingError(f"The process engine cannot {what}.")


def _environment(plan: ContainerPlan) -> dict[str, str]:
    passed_on = {
        key: value
        for key, value in os.environ.items()
        if key in _PASSED_ON or key.startswith("LC_") or key.lower().endswith("_proxy")
    }
    # Nothing hides the other GPUs from a process but its own good will.
    return {**passed_on, "CUDA_VISIBLE_DEVICES": ",".join(plan.gpus), **plan.env}


async def _result(stream: ProcessStream) -> RunResult:
    outputs = {1: bytearray(), 2: bytearray()}
    while (frame := await stream.read())[0]:
        kind, data = frame
        outputs[kind] += data[: _OUTPUT_LIMIT - len(outputs[kind])]
    return RunResult(
        exit_code=await stream.wait(), stdout=bytes(outputs[1]), stderr=bytes(outputs[2])
    )


def _changes(before: ContainerState | None, now: ContainerState | None) -> Iterator[str]:
    """Yield what must have happened between two looks at a container."""
    if before is None:
        yield "create"
    was_running = before is not None and before.state == "running"
    if before and now and before.name != now.name:
        yield "rename"
    started_again = now is not None and now.started != (before.started if before else "")
    if was_running and (now is None or started_again or now.state != "running"):
        yield "die"
    if started_again:
        yield "start"
        if now is not None and now.state == "exited":
            yield "die"
    if now is None:
        yield "destroy"


def _tail_position(path: Path, lines: int) -> int:
    """Return where the last lines of a file begin; 0 lines means all of it."""
    if not lines or not path.exists() or not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        # The end of the last line is not the end of one before it.
        position = len(text) - (text[-1:] == b"\n")
        for _ in range(lines):
            position = text.rfind(b"\n", 0, position)
            if position < 0:
                return 0
    return position + 1


def _read_at(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(_PIECE)
    except FileNotFoundError:
        return b""
