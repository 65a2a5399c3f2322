"""What Jupyter hears of a kernel for itself: whether it is busy, and not all that pages are shown.

Jupyter connects to each kernel once more than its pages do, and deletes what it hears but for the
moment and the state.  So whatever a kernel sends to its page it sends twice: over a stream to
another machine, half of what that can carry.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import zmq
from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

from ..kernels.provisioner import DlenvProvisioner

#: The beginnings of ipykernel's topics: status, errors and results; what is printed; what is shown.
#: Comms, which carry data in bulk, are not among them.
_HEARD = (b"kernel.", b"stream.", b"display_data")
_COMM = b"comm-"


def leave_out_comms(kernels: Any) -> None:
    """Have kernels of environments that start from now on send what comms carry to pages only.

    Does nothing where an administrator has kernels managed by a class that is not Jupyter's.
    """
    if not isinstance(kernels, MappingKernelManager):
        return
    start: Any = kernels.start_watching_activity

    @wraps(start)
    def start_watching_activity(kernel_id: str) -> None:
        start(kernel_id)
        kernel: Any = kernels.get_kernel(kernel_id)
        stream = getattr(kernel, "_activity_stream", None)
        if stream is not None and isinstance(
            getattr(kernel, "provisioner", None), DlenvProvisioner
        ):
            for topic in _HEARD:
                stream.socket.setsockopt(zmq.SUBSCRIBE, topic)
            stream.socket.setsockopt(zmq.UNSUBSCRIBE, b"")

    kernels.start_watching_activity = start_watching_activity  # type: ignore[method-assign]


def note_comm(connection: Any, message: list[Any]) -> None:
    """Note the activity of a kernel whose comm has sent a message to a page."""
    if message and bytes(message[0]).startswith(_COMM):
        moment = utcnow()
        connection.kernel_manager.last_activity = moment
        connection.multi_kernel_manager.last_kernel_activity = moment
