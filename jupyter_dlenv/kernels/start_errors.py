"""Why a kernel did not start, in the one text of it that Jupyter shows."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from ..doctor.diagnoses import explained
from ..errors import DlenvError, InternalError, KernelStartError

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def told_to_the_user() -> Iterator[None]:
    """Put all there is to say into the text of the error: Jupyter shows nothing else."""
    try:
        yield
    except DlenvError as error:
        better = explained(error)
        text = "\n".join(filter(None, (f"{better} {better.hint}", better.detail)))
        raise KernelStartError(text, hint=better.hint, detail=better.detail) from error
    except Exception as error:
        _log.exception("A kernel could not be started")
        said = InternalError("The kernel could not be started, by an error of jupyter_dlenv's own.")
        raise KernelStartError(f"{said} {said.hint}", hint=said.hint) from error
