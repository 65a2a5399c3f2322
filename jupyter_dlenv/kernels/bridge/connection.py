"""What a client's connection file says: where the client expects its kernel to listen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ...errors import KernelStartError
from ..channels import CHANNELS

_SCHEME = "hmac-sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a client has chosen: where it listens for each channel, and how it signs."""

    key: str
    endpoints: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Connection:
        """Read a connection file.

        Raises:
            KernelStartError: It cannot be read, or wants what would not be private.
        """
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            return cls(key=str(info.get("key", "")), endpoints=_endpoints(info))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KernelStartError(
                f"The connection file {path} cannot be used.", detail=str(error)
            ) from error


def _endpoints(info: dict[str, Any]) -> dict[str, str]:
    transport, ip = str(info.get("transport", "tcp")), str(info["ip"])
    scheme = info.get("signature_scheme", _SCHEME)
    if info.get("key") and scheme != _SCHEME:
        raise ValueError(f"{scheme} is not how kernels sign; it is {_SCHEME}.")
    if info.get("curve_publickey"):
        raise ValueError("Encrypted channels are not possible here.")
    if transport == "ipc":
        return {c: f"ipc://{ip}-{int(info[f'{c}_port'])}" for c in CHANNELS}
    if transport != "tcp" or not (ip == "localhost" or ip_address(ip).is_loopback):
        raise ValueError(f"A kernel may only listen on this machine's loopback, not on {ip}.")
    host = "127.0.0.1" if ip == "localhost" else ip
    ports = {c: int(info[f"{c}_port"]) for c in CHANNELS}
    if not all(0 < port < 65536 for port in ports.values()):
        raise ValueError("A port is missing.")
    return {c: f"tcp://{host}:{port}" for c, port in ports.items()}
