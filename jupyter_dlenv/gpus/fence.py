"""Which GPUs this server must leave alone: whoever started it, or configured it, said so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .devices import Device, devices, named
from .inventory import Inventory

_EVERYTHING = frozenset({"all", "*"})
_NOTHING = frozenset({"", "void", "none", "nodevfiles", "-1"})
_RANGE = re.compile(r"([0-9]{1,4})-([0-9]{1,4})\Z")
_INDEX = re.compile(r"[0-9]+\Z")


def fence(
    inventory: Inventory, environ: Mapping[str, str], allowed: Sequence[str] = ("all",)
) -> dict[str, str]:
    """Return why, by the UUID of GPUs and MIG devices that must not be used.

    Args:
        environ: Of the server, if the GPUs are those of its machine; else empty.
        allowed: The administrator's list: indices, UUIDs or beginnings of them; ``all``.
    """
    everything = devices(inventory)
    reasons: dict[str, str] = {}
    for reason, kept in (
        (
            "not allowed by the administrator (allowed_gpus)",
            _administrators(everything, allowed),
        ),
        ("not in CUDA_VISIBLE_DEVICES", _of_cuda(everything, environ)),
        ("not in this Slurm job", _of_slurm(everything, environ)),
        ("not in NVIDIA_VISIBLE_DEVICES", _of_container(everything, environ)),
    ):
        for device in everything:
            if kept is not None and device.uuid and device.uuid not in kept:
                reasons.setdefault(device.uuid, reason)
    return reasons


def _administrators(everything: Sequence[Device], allowed: Sequence[str]) -> set[str] | None:
    if _EVERYTHING.intersection(allowed):
        return None
    return _uuids(everything, allowed)


def _of_cuda(everything: Sequence[Device], environ: Mapping[str, str]) -> set[str] | None:
    value = environ.get("CUDA_VISIBLE_DEVICES")
    if value is None:
        return None
    kept: list[str] = []
    for name in _words(value):
        # As CUDA does it: what follows a name that means nothing is not seen either.
        if not named(everything, name):
            break
        kept.append(name)
    return _uuids(everything, kept)


def _of_slurm(everything: Sequence[Device], environ: Mapping[str, str]) -> set[str] | None:
    value = environ.get("SLURM_STEP_GPUS") or environ.get("SLURM_JOB_GPUS")
    return _of_the_whole_machine(everything, _words(value)) if value else None


def _of_container(everything: Sequence[Device], environ: Mapping[str, str]) -> set[str] | None:
    value = environ.get("NVIDIA_VISIBLE_DEVICES")
    if value is None or value.strip() == "all":
        return None
    if value.strip().lower() in _NOTHING:
        return set()
    # Of a CDI name, `nvidia.com/gpu=0`, the part after the kind of device.
    names = [name.rpartition("=")[2] for name in _words(value)]
    return None if "all" in names else _of_the_whole_machine(everything, names)


def _of_the_whole_machine(everything: Sequence[Device], names: Sequence[str]) -> set[str] | None:
    """Return what names mean that count the GPUs of the whole machine.

    Where Slurm or a container has hidden the others already, those that are left are
    numbered anew, and the names say nothing any more.
    """
    gpus = [d for d in everything if d.mig is None]
    indices = [name for name in names if _INDEX.match(name)]
    if len(indices) >= len(gpus) or any(int(index) >= len(gpus) for index in indices):
        return None
    return _uuids(everything, names)


def _uuids(everything: Sequence[Device], names: Sequence[str]) -> set[str]:
    """Return what names mean; a GPU stands for its MIG devices too."""
    kept: set[str] = set()
    for name in names:
        for device in named(everything, name):
            kept.add(device.uuid)
            if device.mig is None:
                kept.update(mig.uuid for mig in device.gpu.mig_devices)
    return kept


def _words(value: str) -> list[str]:
    """Return the words of a list, with ``0-2`` written out as Slurm means it."""
    words: list[str] = []
    for word in value.split(","):
        match = _RANGE.match(word.strip())
        if match:
            words += [str(n) for n in range(int(match[1]), min(int(match[2]), 1000) + 1)]
        else:
            words.append(word.strip())
    return words
