"""One kernel of an environment in dialogue with this process: code goes in, outputs come out."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import Session

from ..background import wait
from ..errors import DlenvError, KernelGoneError
from ..models import Environment
from . import surroundings
from .channels import CHANNELS, kernel_endpoints
from .link import AgentLink, KernelProcess

_LINK_TIMEOUT = 10.0
#: How often a silent kernel is asked for; that it ended is told at once.
_TICK_MS = 1000
#: A kernel that has not been heard for so long had not known yet that we listen.
_GREETING_MS = 100

Message = Mapping[str, Any]
Hear = Callable[[Message], None]
Answer = Callable[[str, bool], str]


class Dialogue:
    """A kernel that is spoken to by one thread at a time.

    The methods block, as the cell does that calls them.
    """

    def __init__(
        self, environment: Environment, link: AgentLink, kernel: KernelProcess, key: str
    ) -> None:
        self.environment = environment
        self._link = link
        self._kernel_id = kernel.kernel_id
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._session = Session(key=key.encode())
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._poller = zmq.Poller()

    @classmethod
    def start(cls, environment: Environment, *, cwd: str) -> Dialogue:
        """Start a kernel in a running environment; it ends with this process.

        Args:
            cwd: A directory of this machine; the kernel starts there if it is mounted.

        Raises:
            DlenvError
        """
        key = secrets.token_hex(32)
        link, kernel = wait(_start(environment, key, cwd))
        return cls._connected(environment, link, kernel, key)

    @classmethod
    def join(cls, environment: Environment, connection_file: Path) -> Dialogue:
        """Speak to a kernel that somebody else has started, and whose it stays.

        Raises:
            KernelGoneError
        """
        try:
            info = json.loads(connection_file.read_text(encoding="utf-8"))
            key, prefix = str(info["key"]), Path(info["ip"])
            kernel_id = connection_file.stem.removeprefix("kernel-")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KernelGoneError(
                f"The kernel of {connection_file.name} cannot be spoken to.", detail=str(error)
            ) from error
        directory = Path(environment.runtime_dir)
        link = wait(AgentLink.connect(directory, timeout=_LINK_TIMEOUT))
        kernel = KernelProcess(kernel_id=kernel_id, pid=0, prefix=prefix.name)
        return cls._connected(environment, link, kernel, key)

    @classmethod
    def _connected(
        cls, environment: Environment, link: AgentLink, kernel: KernelProcess, key: str
    ) -> Dialogue:
        dialogue = cls(environment, link, kernel, key)
        try:
            dialogue._connect(kernel_endpoints(Path(environment.runtime_dir), kernel.prefix))
        except BaseException:
            dialogue.close()
            raise
        return dialogue

    @property
    def alive(self) -> bool:
        return not (self._link.closed.done() or self._link.exited(self._kernel_id).done())

    def execute(
        self,
        code: str,
        *,
        hear: Hear,
        answer: Answer | None = None,
        silent: bool = False,
    ) -> Message:
        """Run code; return the content of the reply when all outputs have been heard.

        Args:
            hear: Called with each message that the code has published.
            answer: Called with a prompt, and whether the input must not be shown.
            silent: The code is ours: it counts as none, and leaves no trace in the history.

        Raises:
            KernelGoneError: The kernel ended meanwhile.
            KeyboardInterrupt: In this process: the code was interrupted, and has ended.
        """
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": answer is not None,
            # What comes next was not sent ahead: a kernel that drops it as if it were is wrong.
            "stop_on_error": False,
        }
        reply = self._converse("execute_request", content, hear=hear, answer=answer)
        return dict(reply["content"])

    def send_comm(
        self, kind: str, content: Mapping[str, Any], buffers: Sequence[Any] = ()
    ) -> list[Message]:
        """Send a message of a comm; return what was published until it was dealt with."""
        heard: list[Message] = []
        self._converse(kind, content, hear=heard.append, buffers=buffers, reply=False)
        return heard

    def interrupt(self) -> None:
        """Interrupt what runs."""
        with suppress(DlenvError):
            wait(self._link.signal(self._kernel_id, signal.SIGINT))

    def close(self) -> None:
        """Stop speaking; a kernel that was started for this ends."""
        self._context.destroy(linger=0)
        wait(self._link.aclose())

    def _connect(self, endpoints: Mapping[str, str]) -> None:
        kinds = {"shell": zmq.DEALER, "iopub": zmq.SUB, "stdin": zmq.DEALER}
        for channel in CHANNELS:
            if channel not in kinds:
                continue
            socket = self._sockets[channel] = self._context.socket(kinds[channel])
            socket.linger = 0
            if channel == "iopub":
                socket.rcvhwm = 0
                socket.subscribe(b"")
            else:
                socket.identity = self._session.bsession
            socket.connect(endpoints[channel])
            self._poller.register(socket, zmq.POLLIN)
        self._greet()

    def _greet(self) -> None:
        """Return when the kernel answers and is heard: nothing of the first cell may be missed."""
        limit = time.monotonic() + _LINK_TIMEOUT
        while time.monotonic() < limit:
            request = self._send("kernel_info_request", {})
            if self._sockets["iopub"].poll(_GREETING_MS) and self._sockets["shell"].poll(_TICK_MS):
                self._receive(self._sockets["shell"], request)
                return
        raise KernelGoneError(f"The kernel in {self.environment.name!r} does not answer.")

    def _converse(
        self,
        kind: str,
        content: Mapping[str, Any],
        *,
        hear: Hear,
        answer: Answer | None = None,
        buffers: Sequence[Any] = (),
        reply: bool = True,
    ) -> Message:
        """Send a message; return its reply when the kernel is idle again."""
        shell, iopub, stdin = (self._sockets[c] for c in ("shell", "iopub", "stdin"))
        request = self._send(kind, content, buffers)
        # An empty reply stands for the one that a comm does not have.
        answered: Message | None = None if reply else {"content": {}}
        idle = False
        interrupted = False
        ready: dict[Any, int] = {}
        while not (answered and idle):
            try:
                ready = dict(self._poller.poll(_TICK_MS))
                if iopub in ready:
                    idle |= self._hear(iopub, request, hear)
                if shell in ready:
                    answered = self._receive(shell, request) or answered
                if stdin in ready and answer is not None:
                    self._ask(stdin, request, answer)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                self.interrupt()
            except Exception:
                # Whoever cannot answer or show something must not leave the kernel waiting.
                self.interrupt()
                raise
            if not ready and not self.alive:
                raise self._gone()
            # Kernels say so right after they answered; the word may have been dropped in a flood.
            idle |= reply and answered is not None and not ready
        if interrupted:
            raise KeyboardInterrupt
        return answered

    def _send(self, kind: str, content: Mapping[str, Any], buffers: Sequence[Any] = ()) -> Message:
        shell = self._sockets["shell"]
        sent = self._session.send(shell, kind, dict(content), buffers=list(buffers) or None)
        assert sent is not None  # noqa: S101 it is for messages that were packed before
        return sent

    def _hear(self, iopub: zmq.Socket[bytes], request: Message, hear: Hear) -> bool:
        """Pass on all that was published; tell whether the kernel is idle now."""
        idle = False
        while message := self._receive(iopub, request):
            if message["msg_type"] == "status":
                idle |= message["content"]["execution_state"] == "idle"
            hear(message)
        return idle

    def _ask(self, stdin: zmq.Socket[bytes], request: Message, answer: Answer) -> None:
        question = self._receive(stdin, request)
        if question:
            asked = question["content"]
            text = answer(str(asked["prompt"]), bool(asked["password"]))
            self._session.send(stdin, "input_reply", {"value": text})

    def _receive(self, socket: zmq.Socket[bytes], request: Message) -> Message | None:
        """Return the next message that belongs to a request, if it is there."""
        while True:
            _, message = self._session.recv(socket, zmq.NOBLOCK, copy=False)
            if message is None:
                return None
            if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return dict(message)

    def _gone(self) -> KernelGoneError:
        log = ""
        if self._link.exited(self._kernel_id).done():
            log = self._link.exited(self._kernel_id).result().log
        return KernelGoneError(
            f"The kernel in {self.environment.name!r} has ended, with its variables.", detail=log
        )


async def _start(environment: Environment, key: str, cwd: str) -> tuple[AgentLink, KernelProcess]:
    directory = Path(environment.runtime_dir)
    link = await AgentLink.connect(directory, timeout=_LINK_TIMEOUT)
    try:
        kernel = await link.start_kernel(
            uuid.uuid4().hex,
            key=key,
            env=surroundings.variables({}, environment),
            cwd=surroundings.directory(cwd, environment),
            tied=True,
        )
    except (DlenvError, asyncio.CancelledError):
        await link.aclose()
        raise
    # From now on its end is noticed, whenever it is asked for.
    link.exited(kernel.kernel_id)
    return link, kernel
