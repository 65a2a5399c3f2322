"""The last end of each kernel, remembered for as long as somebody may ask why."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from jupyter_events import EventLogger

from ..errors import KernelExitUnknownError
from ..kernels.last_exit import KERNEL_EXIT, LastExit
from ..kernels.provisioner import DlenvProvisioner

_MOST = 200


class Exits:
    """Hears of ends on the event bus, and keeps what is not said there: the log."""

    def __init__(self, kernels: Any) -> None:
        self._kernels = kernels
        self._last: OrderedDict[str, LastExit] = OrderedDict()

    def listen(self, event_logger: EventLogger) -> None:
        event_logger.add_listener(schema_id=KERNEL_EXIT, listener=self._heard)

    def last(self, kernel_id: str) -> LastExit:
        """Return how a kernel ended last.

        Raises:
            KernelExitUnknownError
        """
        self._keep(kernel_id)
        if kernel_id not in self._last:
            raise KernelExitUnknownError(f"Nothing is known of an end of the kernel {kernel_id}.")
        return self._last[kernel_id]

    async def _heard(self, logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:  # noqa: ARG002
        self._keep(str(data["kernel_id"]))

    def _keep(self, kernel_id: str) -> None:
        # The kernel may be removed from Jupyter's list soon, and its provisioner with it.
        if kernel_id not in self._kernels:
            return
        provisioner = self._kernels.get_kernel(kernel_id).provisioner
        if isinstance(provisioner, DlenvProvisioner) and provisioner.last_exit is not None:
            self._last[kernel_id] = provisioner.last_exit
            self._last.move_to_end(kernel_id)
            while len(self._last) > _MOST:
                self._last.popitem(last=False)
