"""A page's connection to its kernel: no delay, and nothing lost while the server was away."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from ..errors import AgentUnreachableError
from ..kernels.provisioner import DlenvProvisioner
from ..kernels.record import Record, fetch, message_id
from ..kernels.seen import Seen, seen_by_all, unseen
from .activity import note_comm

#: What a kernel says before the page's subscription has reached it is lost.
_FIRST_ASK_AGAIN, _ASK_AGAIN = 0.01, 0.2
#: When a message can no longer come twice.
_FORGET_SECONDS = 60.0


def connection_class(configured: type[Any]) -> type[Any]:
    """Return what an administrator has configured, with what we add to it.

    Nagle's algorithm holds back each small message until the last was acknowledged, and
    receivers acknowledge late: some 40 ms for nothing.  Tornado leaves it on.
    """

    class PromptConnection(configured):  # type: ignore[misc]
        __doc__ = configured.__doc__

        def connect(self) -> Any:
            self.websocket_handler.set_nodelay(True)
            return super().connect()

    if not issubclass(configured, ZMQChannelsWebsocketConnection):
        return PromptConnection
    return _remembering(PromptConnection)


def _remembering(base: type[Any]) -> type[Any]:
    class RememberingConnection(base):  # type: ignore[misc]
        """Notes what the page was given, and gives it what it has missed of its kernel."""

        _seen: Seen | None = None
        _catching_up = False
        _replaying = False

        @property
        def _provisioner(self) -> DlenvProvisioner | None:
            provisioner = getattr(self.kernel_manager, "provisioner", None)
            return provisioner if isinstance(provisioner, DlenvProvisioner) else None

        def request_kernel_info(self) -> Any:
            if self._provisioner is None:
                return super().request_kernel_info()
            # It speaks our protocol and listens, or its agent would not have said so.  Asking is
            # a trip to a channel on which a busy kernel is silent.
            known = asyncio.get_running_loop().create_future()
            known.set_result({})
            return known

        def connect(self) -> Any:
            provisioner = self._provisioner
            self._replayed: set[str] = set()
            self._unflushed: dict[str, str] = {}
            self._given: dict[str, str] = {}
            if provisioner is not None and provisioner.outlives:
                try:
                    self._seen = Seen(provisioner.private_dir, self.kernel_id, self.session_id)
                except OSError as error:
                    self.log.warning("What this page is given cannot be noted: %s", error)
                if self._seen is not None:
                    self._given = self._seen.last()
                self._catching_up = (
                    self._seen is not None
                    and provisioner.adopted
                    and self.session_id not in provisioner.caught_up
                )
            return super().connect()

        def nudge(self) -> Any:
            if self._provisioner is not None and self._catching_up:
                return asyncio.ensure_future(self._catch_up())
            if self._provisioner is None or self.kernel_manager.execution_state == "busy":
                # Nobody waits for a busy kernel: what it computes in may let nothing else run.
                return super().nudge()
            return asyncio.ensure_future(self._subscribe())

        def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
            if self._provisioner is not None:
                note_comm(self, outgoing_msg)
            if self._seen is None:
                super().handle_outgoing_message(stream, outgoing_msg)
                return
            identifier = message_id(outgoing_msg)
            if identifier in self._replayed and not self._replaying:
                return
            name = stream if isinstance(stream, str) else getattr(stream, "channel", "")
            before = self._given.get(name, "")
            socket = getattr(self.websocket_handler.ws_connection, "stream", None)
            if socket is not None and not socket.writing() and identifier:
                self._note_before_sending(socket, name, identifier)
            super().handle_outgoing_message(stream, outgoing_msg)
            if name and identifier:
                self._note(name, identifier, before)

        def disconnect(self) -> Any:
            result = super().disconnect()
            if self._seen is not None:
                self._seen.close()
            return result

        async def _catch_up(self) -> None:
            """Give the page what its kernel said while no server listened."""
            provisioner = self.kernel_manager.provisioner
            try:
                await self._subscribe()
                # Whatever has been heard so far is in it, and so is all that was not.
                record = await fetch(provisioner.record)
                if self.channels and not self.channels["iopub"].closed():
                    self._replay(record)
                    provisioner.caught_up.add(self.session_id)
            except (AgentUnreachableError, asyncio.TimeoutError) as error:
                self.log.warning("What kernel %s said is lost: %s", self.kernel_id, error)
            finally:
                self._catching_up = False

        async def _subscribe(self) -> None:
            """Return when the page hears what the kernel says.

            Raises:
                TimeoutError: The kernel says nothing, not even on the channel of a busy one.
            """
            iopub = self.channels["iopub"]
            heard = asyncio.get_running_loop().create_future()

            def hear(_: Any) -> None:
                if not heard.done():
                    heard.set_result(None)

            iopub.on_recv(hear)
            asking = asyncio.ensure_future(self._ask_until(heard))
            try:
                await asyncio.wait_for(asking, self.kernel_info_timeout)
                if self.kernel_manager.execution_state == "starting":
                    # Whoever notes its state may have missed the first that it said.
                    self.kernel_manager.execution_state = "idle"
            finally:
                if not iopub.closed():
                    iopub.stop_on_recv()

        async def _ask_until(self, heard: asyncio.Future[None]) -> None:
            pause = _FIRST_ASK_AGAIN
            control = self.kernel_manager.connect_control()
            try:
                while not heard.done() and not self.channels["iopub"].closed():
                    if self.kernel_id not in self.multi_kernel_manager:
                        return
                    self.session.send(control, "kernel_info_request")
                    await asyncio.wait([heard], timeout=pause)
                    pause = min(2 * pause, _ASK_AGAIN)
            finally:
                control.close()

        def _replay(self, record: Record) -> None:
            provisioner = self._provisioner
            assert self._seen is not None and provisioner is not None  # noqa: S101, PT018
            last = self._seen.last()
            others = [] if last else seen_by_all(provisioner.private_dir, self.kernel_id)
            missed = [record.messages[i] for i in unseen(record, last, others)]
            mine = [m for m in missed if m.is_for(self.session.bsession)]
            self._replayed = {m.id for m in record.messages}
            asyncio.get_running_loop().call_later(_FORGET_SECONDS, self._replayed.clear)
            # The rate is that of hours in one moment.
            limited = bool(getattr(self, "limit_rate", True))
            self.limit_rate = False
            self._replaying = True
            try:
                for message in mine:
                    self.handle_outgoing_message(message.channel, list(message.frames))
            finally:
                self._replaying, self.limit_rate = False, limited
            if mine:
                self.log.info("Kernel %s: %d messages replayed", self.kernel_id, len(mine))

        def _note_before_sending(self, socket: Any, channel: str, identifier: str) -> None:
            """Note a message in the moment in which it leaves.

            Afterwards would be too late: the system may run whoever waits for the message
            first, and that one may end this process.
            """
            send = type(socket).write_to_fd

            def note_and_send(data: Any) -> Any:
                del socket.write_to_fd
                self._mark(channel, identifier)
                return send(socket, data)

            socket.write_to_fd = note_and_send

        def _note(self, channel: str, identifier: str, before: str) -> None:
            stream = getattr(self.websocket_handler.ws_connection, "stream", None)
            if stream is None or stream.closed():
                return
            stream.__dict__.pop("write_to_fd", None)
            if not stream.writing():
                self._mark(channel, identifier)
                return
            # Given only when all of it has left this process.
            self._mark(channel, before)
            waiting = bool(self._unflushed)
            self._unflushed[channel] = identifier
            if not waiting:
                self._note_when_flushed(stream)

        def _mark(self, channel: str, identifier: str) -> None:
            if self._seen is not None:
                self._seen.note(channel, identifier)
                self._given[channel] = identifier

        def _note_when_flushed(self, stream: Any) -> None:
            batch = dict(self._unflushed)

            def flushed(written: Any) -> None:
                if written.exception() is not None:
                    return
                for channel, identifier in batch.items():
                    self._mark(channel, identifier)
                    if self._unflushed.get(channel) == identifier:
                        del self._unflushed[channel]
                if self._unflushed and not stream.closed():
                    self._note_when_flushed(stream)

            stream.write(b"").add_done_callback(flushed)

    return RememberingConnection
