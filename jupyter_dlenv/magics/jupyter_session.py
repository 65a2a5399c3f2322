"""This notebook among the sessions of the Jupyter server that shows it, over the server's REST."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from ..errors import CapabilityMissingError, KernelStartError
from ..kernels.carrier import Carrier
from ..kernels.dialogue import Dialogue
from ..models import Environment

_TIMEOUT = 10.0
#: A kernel may have to start its environment first.
_START_TIMEOUT = 180.0
_SECURE_OR_HERE = re.compile(r"https?://")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookSession:
    """The session whose kernel runs this cell."""

    url: str
    token: str
    session_id: str
    path: str

    @classmethod
    def of_this_kernel(cls) -> NotebookSession:
        """Find it.

        Raises:
            CapabilityMissingError: No server of this user on this machine shows this kernel.
        """
        kernel_id = _own_kernel_id()
        for url, token in _servers():
            try:
                sessions = _ask("GET", f"{url}api/sessions", token)
            except (KernelStartError, ValueError):
                continue
            for session in sessions:
                if kernel_id and (session.get("kernel") or {}).get("id") == kernel_id:
                    return cls(url=url, token=token, session_id=session["id"], path=session["path"])
        raise CapabilityMissingError(
            "No Jupyter server was found that shows this notebook.",
            hint="Choose the kernel of the environment in the notebook's own list of kernels.",
        )

    def start_kernel(self, kernel_name: str) -> str:
        """Start a kernel beside the one that runs this; return its id."""
        wanted = {"name": kernel_name, "path": self.path}
        answer = _ask("POST", f"{self.url}api/kernels", self.token, wanted, timeout=_START_TIMEOUT)
        return str(answer["id"])

    def end_kernel(self, kernel_id: str) -> None:
        """End a kernel that nobody will use."""
        _ask("DELETE", f"{self.url}api/kernels/{quote(kernel_id)}", self.token)

    def carry(
        self, kernel_id: str, environment: Environment, values: Mapping[str, Any], *, pickled: bool
    ) -> None:
        """Set variables in a kernel that this server has started.

        Raises:
            NotCarriedError
        """
        file = Path(jupyter_runtime_dir()) / f"kernel-{kernel_id}.json"
        dialogue = Dialogue.join(environment, file)
        try:
            Carrier(dialogue).put(values, pickled=pickled)
        finally:
            dialogue.close()

    def move_to(self, kernel_id: str) -> None:
        """Give the notebook that kernel; the server ends the one that runs this."""
        _ask(
            "PATCH",
            f"{self.url}api/sessions/{quote(self.session_id)}",
            self.token,
            {"kernel": {"id": kernel_id}},
        )


def _own_kernel_id() -> str:
    # Imported here: in a plain IPython there is no ipykernel.
    from ipykernel.connect import get_connection_file  # noqa: PLC0415

    try:
        name = Path(get_connection_file()).name
    except RuntimeError:
        return ""
    match = re.fullmatch(r"kernel-(.+)\.json", name)
    return match[1] if match else ""


def _servers() -> Iterator[tuple[str, str]]:
    """Yield the address and the token of each server of this user that runs."""
    for file in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            info = json.loads(file.read_text(encoding="utf-8"))
            if psutil.pid_exists(int(info["pid"])) and _SECURE_OR_HERE.match(info["url"]):
                yield str(info["url"]), str(info["token"])
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _ask(verb: str, url: str, token: str, content: Any = None, *, timeout: float = _TIMEOUT) -> Any:
    data = None if content is None else json.dumps(content).encode()
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    # The address comes from a file of this user's that only they can write.
    request = Request(url, data, headers, method=verb)  # noqa: S310
    try:
        with urlopen(request, timeout=timeout) as answer:  # noqa: S310
            text = answer.read()
    except OSError as error:
        # What a server says itself is in the body of its refusal.
        said = error.read().decode(errors="replace") if isinstance(error, HTTPError) else ""
        raise KernelStartError(
            "The Jupyter server did not do what the move to another kernel needs.",
            hint="Choose the kernel in the notebook's own list of kernels.",
            detail=f"{error}\n{said}".strip(),
        ) from error
    return json.loads(text) if text else None
