"""The only module that imports ``pynvml``: calls it, and knows what its many failures mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .inventory import DriverState

# Numbers of the driver's errors.
_UNINITIALIZED = 1
_DRIVER_NOT_LOADED = 9
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
_GPU_IS_LOST = 15
_RESET_REQUIRED = 16
_VERSION_MISMATCH = 18
_UNKNOWN = 999

_STATES = {
    _LIBRARY_NOT_FOUND: DriverState.MISSING,
    _DRIVER_NOT_LOADED: DriverState.NOT_LOADED,
    _VERSION_MISMATCH: DriverState.MISMATCH,
    _FUNCTION_NOT_FOUND: DriverState.TOO_OLD,
}
_MESSAGES = {
    DriverState.MISSING: (
        "There is no NVIDIA driver library on this machine. "
        "If it has GPUs, install the driver from https://www.nvidia.com/drivers."
    ),
    DriverState.NOT_LOADED: (
        "The NVIDIA driver is installed, but its kernel module is not loaded. Try "
        "`sudo modprobe nvidia`; after an upgrade of the kernel, reinstall the driver."
    ),
    DriverState.MISMATCH: (
        "The NVIDIA driver was upgraded while the old one was in use. "
        "Reboot, or unload the old kernel modules; then restart this program."
    ),
    DriverState.TOO_OLD: (
        "The NVIDIA driver is too old to tell who uses which GPU. Upgrade it to 450 or newer."
    ),
}


class NvmlCallError(Exception):
    """A function of the driver failed.

    Attributes:
        number: The driver's number of the error.
        words: The driver's words for it.
    """

    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number = number
        self.words = words

    @property
    def state(self) -> DriverState:
        return _STATES.get(self.number, DriverState.ERROR)

    @property
    def message(self) -> str:
        """Return what the failure means and what to try."""
        return _MESSAGES.get(self.state, f"The NVIDIA driver answers with an error: {self.words}.")

    @property
    def uninitialized(self) -> bool:
        return self.number == _UNINITIALIZED

    @property
    def missing_function(self) -> bool:
        return self.number == _FUNCTION_NOT_FOUND

    @property
    def gpu_is_lost(self) -> bool:
        return self.number == _GPU_IS_LOST

    @property
    def of_the_gpu(self) -> bool:
        """Tell whether the GPU would answer any other question in the same way."""
        return self.number in (_GPU_IS_LOST, _RESET_REQUIRED, _UNKNOWN)

    @property
    def of_the_driver(self) -> bool:
        """Tell whether any GPU would."""
        return self.number == _UNINITIALIZED or self.number in _STATES


def library() -> Any:
    """Return ``pynvml``; nothing has been asked of the driver yet."""
    # Imported here: it is large, and most processes never look at a GPU.
    import pynvml  # noqa: PLC0415

    return pynvml


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the driver.

    Raises:
        NvmlCallError
    """
    nvml = library()
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        raise NvmlCallError(error.value, str(error)) from error
    except nvml.NVMLLibraryMismatchError as error:
        # Raised by unversioned functions that an old driver lacks; it is no NVMLError.
        raise NvmlCallError(_FUNCTION_NOT_FOUND, str(error)) from error


def ask(function: Callable[..., Any], *arguments: Any, must_exist: bool = False) -> Any:
    """Call a function whose value may be unknown: ``None`` where this GPU has none to tell.

    Raises:
        NvmlCallError: The GPU or the driver has failed as a whole, or the driver lacks the
            function and ``must_exist``.
    """
    try:
        return call(function, *arguments)
    except NvmlCallError as error:
        fatal = must_exist if error.missing_function else error.of_the_gpu or error.of_the_driver
        if fatal:
            raise
        return None


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function whose failure, whatever it is, only means that nothing is known."""
    try:
        return call(function, *arguments)
    except NvmlCallError:
        return None
