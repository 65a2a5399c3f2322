"""The host's side of the agent: requests over a unix socket, and news of kernels that ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import (
    AgentError,
    AgentUnreachableError,
    DlenvError,
    KernelStartError,
    SshUnavailableError,
)

PROTOCOL = 1
#: A start includes the import of ipykernel from a cold disk, twice.
_START_TIMEOUT = 150.0
_REQUEST_TIMEOUT = 10.0
_LONGEST_LINE = 1 << 20
_LONGEST_DIRECTORY = 107 - len("/k-01234567-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What an agent says of itself; ``ipykernel`` is empty if it cannot be imported."""

    protocol: int
    pid: int
    python: str
    python_version: str
    ipykernel: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelProcess:
    """A kernel that listens; its ipc sockets are ``<directory>/<prefix>-1`` to ``-5``."""

    kernel_id: str
    pid: int
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKernel:
    """A kernel that this link looks after from now on, with what its last holder noted."""

    process: KernelProcess
    key: str
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelExit:
    """How a kernel ended, as far as the agent knows.

    Attributes:
        exit_code: Negative for a signal, as in ``subprocess``.
        stopping: The agent was being stopped, and all of the environment with it.
        reason: ``idle`` if it stopped by itself because nobody used it.
        shm_size, shm_free: Of ``/dev/shm``, in bytes.
    """

    exit_code: int
    signal: int
    log: str
    out_of_memory: bool = False
    stopping: bool = False
    reason: str = ""
    shm_size: int = 0
    shm_free: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleTime:
    """For how many seconds an environment has not been used.

    Attributes:
        last_use: What used it last: start, kernel, terminal, ssh, connection or process.
        left: Until it stops by itself; ``None`` if it does not.
    """

    seconds: float
    last_use: str
    left: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it in whole seconds, as every door shows it."""
        left = None if self.left is None else round(self.left)
        return {"seconds": round(self.seconds), "last_use": self.last_use, "stops_in": left}


class AgentLink:
    """A connection to one agent.

    Attributes:
        hello: What the agent said of itself.
        closed: Done when the connection has ended.  That is no kernel's end: kernels run
            on, and their exit futures stay pending.
        on_idle: Called with the seconds that are left to an environment that nobody uses.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hello: AgentFacts
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_idle: Callable[[float], None] = lambda _: None
        self._writer = writer
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._exits: dict[str, asyncio.Future[KernelExit]] = {}
        self._next = 0
        self._listening = asyncio.ensure_future(self._listen(reader))

    @classmethod
    async def connect(cls, directory: Path, *, timeout: float) -> AgentLink:
        """Return a link to the agent whose socket is in a directory.

        Raises:
            AgentUnreachableError: Nobody answers, or somebody else does.
        """
        path = str(directory / "agent.sock")
        if len(os.fsencode(directory)) > _LONGEST_DIRECTORY:
            raise AgentUnreachableError(
                f"The path {directory} is too long for sockets.",
                hint="Set c.Configuration.runtime_dir to a shorter directory.",
            )
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_unix_connection(path, limit=_LONGEST_LINE), timeout
            )
        except (OSError, asyncio.TimeoutError) as error:
            raise AgentUnreachableError(
                "The program inside the environment does not answer.", detail=str(error)
            ) from error
        link = cls(reader, writer)
        try:
            link.hello = _facts(await link._request("hello", timeout=timeout))
        except BaseException:
            await link.aclose()
            raise
        return link

    async def start_kernel(
        self,
        kernel_id: str,
        *,
        key: str,
        env: Mapping[str, str],
        cwd: str,
        prefix: str = "",
        tied: bool = False,
        note: Mapping[str, Any] | None = None,
        outlives: bool = False,
    ) -> KernelProcess:
        """Start a kernel and return it when it listens; this link looks after it then.

        Whoever is cancelled here leaves no kernel behind.

        Args:
            prefix: Of the kernel that this one follows, so that its clients reach this one.
            tied: The kernel ends with this connection, however that ends.
            note: What ``hold`` tells whoever looks after it next.
            outlives: Whether it runs on when this link has ended and nobody comes for it.

        Raises:
            KernelStartError: With the end of its log in ``detail``.
        """
        self._exits.pop(kernel_id, None)
        try:
            answer = await self._request(
                "start_kernel",
                timeout=_START_TIMEOUT,
                kernel_id=kernel_id,
                prefix=prefix,
                key=key,
                env=dict(env),
                cwd=cwd,
                tied=tied,
                note=dict(note or {}),
                outlives=outlives,
            )
        except (AgentUnreachableError, asyncio.CancelledError):
            self._send(0, "signal", kernel_id=kernel_id, signum=signal.SIGKILL)
            raise
        return _process(kernel_id, answer)

    async def hold(
        self, kernel_id: str, *, note: Mapping[str, Any] | None = None, outlives: bool = True
    ) -> HeldKernel:
        """Look after a kernel that runs and that nobody looks after, or note something anew.

        Raises:
            AgentError: Somebody else looks after it, or it has ended.
        """
        changes: dict[str, Any] = {} if note is None else {"note": dict(note)}
        answer = await self._request("hold", kernel_id=kernel_id, outlives=outlives, **changes)
        noted = answer["note"]
        return HeldKernel(
            process=_process(kernel_id, answer),
            key=str(answer["key"]),
            note=noted if isinstance(noted, dict) else {},
        )

    async def signal(self, kernel_id: str, signum: int) -> bool:
        """Signal a kernel and its children; tell whether it was there to hear it."""
        answer = await self._request("signal", kernel_id=kernel_id, signum=int(signum))
        return bool(answer["delivered"])

    async def kernels(self) -> list[dict[str, Any]]:
        """Return the kernels, the last ended ones included."""
        return list((await self._request("kernels"))["kernels"])

    async def configure_ssh(
        self, *, host_key: str, authorized_keys: str, listen: bool, own_system: bool
    ) -> str:
        """Give the SSH server its keys; return the user that it lets in.

        Args:
            listen: Accept connections on port 22, and not only over a stream.
            own_system: The environment has a file system of its own, which may be changed.

        Raises:
            SshUnavailableError: There is no server in the environment, or it cannot run.
        """
        answer = await self._request(
            "ssh",
            host_key=host_key,
            authorized_keys=authorized_keys,
            listen=listen,
            own_system=own_system,
        )
        return str(answer["user"])

    async def forget(self, kernel_id: str) -> None:
        """Let the agent drop what it knows of an ended kernel."""
        await self._request("forget", kernel_id=kernel_id)

    async def listeners(self, *, own: bool) -> list[dict[str, Any]]:
        """Return who listens on which TCP port inside, as ``agent/listeners.py`` describes it.

        Args:
            own: Only the agent's own descendants; for environments without a network of their own.
        """
        return list((await self._request("listeners", own=own))["listeners"])

    async def idle_time(self) -> IdleTime:
        """Return since when the environment has not been used."""
        answer = await self._request("idle")
        left = answer["left"]
        return IdleTime(
            seconds=float(answer["idle"]),
            last_use=str(answer["by"]),
            left=None if left is None else float(left),
        )

    async def stop_when_idle(self, limit: float, *, own_system: bool) -> None:
        """Have the environment end when nobody has used it for some seconds; 0 is never.

        Args:
            own_system: All processes that the agent can see are the environment's.
        """
        await self._request("idle_stop", limit=limit, own_system=own_system)

    def exited(self, kernel_id: str) -> asyncio.Future[KernelExit]:
        """Return the future of a kernel's end, also if the news came before the question."""
        if kernel_id not in self._exits:
            self._exits[kernel_id] = asyncio.get_running_loop().create_future()
        return self._exits[kernel_id]

    async def aclose(self) -> None:
        """End the connection; kernels run on."""
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening

    async def _request(
        self, op: str, *, timeout: float = _REQUEST_TIMEOUT, **arguments: Any
    ) -> dict[str, Any]:
        if self.closed.done():
            raise AgentUnreachableError("The connection to the environment has ended.")
        self._next += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number := self._next] = answer
        try:
            self._send(number, op, **arguments)
            return dict(await asyncio.wait_for(answer, timeout))
        except (OSError, asyncio.TimeoutError) as error:
            raise AgentUnreachableError(
                f"The environment did not answer within {timeout:.0f} s."
            ) from error
        finally:
            self._answers.pop(number, None)

    def _send(self, number: int, op: str, **arguments: Any) -> None:
        line = json.dumps({"id": number, "op": op, **arguments})
        if not self._writer.is_closing():
            self._writer.write(line.encode() + b"\n")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._hear(json.loads(line))
        except (OSError, ValueError, KeyError, TypeError):
            # The other side is not the agent that we know; that is the end of the link.
            pass
        finally:
            self._writer.close()
            self.closed.set_result(None)
            gone = AgentUnreachableError("The connection to the environment has ended.")
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(gone)

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("event") == "exit":
            future = self.exited(message["kernel_id"])
            ended = KernelExit(
                exit_code=int(message["exit_code"]),
                signal=int(message["signal"] or 0),
                log=str(message["log"]),
                out_of_memory=bool(message.get("out_of_memory")),
                stopping=bool(message.get("stopping")),
                reason=str(message.get("reason", "")),
                shm_size=int(message.get("shm_size", 0)),
                shm_free=int(message.get("shm_free", 0)),
            )
            if not future.done():
                future.set_result(ended)
            return
        if "event" in message:
            if message["event"] == "idle":
                self.on_idle(float(message["left"]))
            return
        answer = self._answers.get(message["id"] or 0)
        if answer is None or answer.done():
            return
        if "ok" in message:
            answer.set_result(message["ok"])
        else:
            answer.set_exception(_failure(message["error"]))


def nobody_listens(error: AgentError) -> bool:
    """Tell whether a failed ``connect`` proves that the agent has ended, with all its kernels."""
    return isinstance(error.__cause__, (FileNotFoundError, ConnectionRefusedError))


def _facts(answer: dict[str, Any]) -> AgentFacts:
    try:
        facts = AgentFacts(**{name: answer[name] for name in AgentFacts.__dataclass_fields__})
    except KeyError as error:
        raise AgentUnreachableError("What answers is not an agent.", detail=str(error)) from error
    if facts.protocol != PROTOCOL:
        raise AgentUnreachableError(
            f"The environment's agent speaks protocol {facts.protocol}, not {PROTOCOL}.",
            hint="Remove the environment and launch it again with this version.",
        )
    return facts


def _process(kernel_id: str, answer: Mapping[str, Any]) -> KernelProcess:
    prefix = str(answer["prefix"])
    # It becomes a path on this side.
    if not prefix.replace("-", "").isalnum():
        raise AgentError("The agent named impossible sockets.", detail=prefix)
    return KernelProcess(kernel_id=kernel_id, pid=int(answer["pid"]), prefix=prefix)


def _failure(error: dict[str, Any]) -> DlenvError:
    if error["code"] == "ssh-unavailable":
        return SshUnavailableError(str(error["message"]), detail=str(error["detail"]))
    kind = KernelStartError if error["code"] == "kernel-start" else AgentError
    return kind(str(error["message"]), detail=str(error["detail"]))
