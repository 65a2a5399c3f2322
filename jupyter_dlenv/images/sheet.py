"""What one should know before an image is fetched, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engines.base import ImageFacts
from .catalogue import Licence
from .fit import Host, Needs, Remark, Weight, remarks
from .reference import ImageReference
from .remote import Blob, RemoteImage

#: What a compressed layer becomes, by the images of frameworks; and while it is unpacked, what
#: was fetched is there too.
_UNPACKED = 2.2
_SCRATCH = 1.2
_GB = 1000**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is known of an image before it is fetched; ``None`` is "not known".

    Attributes:
        here: The engine has it already.
        outdated: The engine has what the tag named before.
        download: Bytes that would be fetched.
        whole: Bytes of the image, as the registry keeps it.
        missing: The layers that would be fetched.
        needs_disk: Bytes that it takes while and after it is unpacked, roughly.
        free_disk: Bytes that the engine has left.
        problem: Why the registry was not asked with success, or empty.
        suggestion: The newest tag that has none of the problems, where this one has some.
    """

    image: str
    here: bool
    outdated: bool = False
    download: int | None = None
    whole: int | None = None
    missing: tuple[Blob, ...] = ()
    needs_disk: int | None = None
    free_disk: int | None = None
    needs: Needs = field(default_factory=Needs)
    host: Host = field(default_factory=Host)
    remarks: tuple[Remark, ...] = ()
    licence: str = ""
    notes: str = ""
    problem: str = ""
    suggestion: str = ""

    @property
    def refused(self) -> tuple[Remark, ...]:
        """Return why the image will not work, or not fit."""
        return tuple(r for r in self.remarks if r.weight is Weight.ERROR)

    @property
    def disk_error(self) -> str:
        """Return why the image certainly does not fit on the engine's disk, or nothing."""
        return next((r.text for r in self.refused if r.code == "disk"), "")

    @property
    def wants_another_tag(self) -> bool:
        return any(r.of_tag and r.weight is not Weight.INFO for r in self.remarks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a launch says before it fetches the image."""
        said = [r.text for r in self.remarks if r.weight is not Weight.INFO]
        if said and self.suggestion:
            said.append(f"The newest tag without that is {self.suggestion}.")
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "here": self.here,
            "outdated": self.outdated,
            "download": self.download,
            "whole": self.whole,
            "layers": len(self.missing),
            "needs_disk": self.needs_disk,
            "free_disk": self.free_disk,
            "architectures": list(self.needs.architectures),
            "driver": self.needs.driver,
            "requires": self.needs.requires,
            "capabilities": list(self.needs.capabilities),
            "host": {
                "architecture": self.host.architecture,
                "driver": self.host.driver,
                "cuda": self.host.cuda,
                "gpus": [{"name": g.name, "capability": g.capability} for g in self.host.gpus],
            },
            "remarks": [
                {"code": r.code, "weight": r.weight.value, "text": r.text} for r in self.remarks
            ],
            "licence": self.licence,
            "notes": self.notes,
            "problem": self.problem,
            "suggestion": self.suggestion,
        }


def write_sheet(
    reference: ImageReference,
    *,
    local: ImageFacts | None,
    remote: RemoteImage | None,
    chains: Iterable[Sequence[str]],
    host: Host,
    free_disk: int | None,
    licence: Licence | None = None,
    notes: str = "",
    problem: str = "",
) -> Sheet:
    """Put together what the engine, the registry and the host have said.

    Args:
        local: The image, if the engine has it.
        remote: The image, if the registry has told of it.
        chains: Layers, from below, of images that the engine can take layers from.
        problem: Why the registry has not.
    """
    missing: tuple[Blob, ...] = ()
    download: int | None = None
    whole: int | None = None
    outdated = False
    if remote is not None:
        whole = sum(part.size for part in remote.manifest.parts)
        outdated = local is not None and not _is_same(local, remote)
        if local is None or outdated:
            missing = missing_layers(remote, chains)
            download = remote.manifest.config.size
        download = (download or 0) + sum(layer.size for layer in missing)
    elif local is not None:
        download = 0
    needs = _needs(local, remote)
    needs_disk = None if download is None else int(download * (_SCRATCH + _UNPACKED))
    return Sheet(
        image=str(reference),
        here=local is not None,
        outdated=outdated,
        download=download,
        whole=whole,
        missing=missing,
        needs_disk=needs_disk,
        free_disk=free_disk,
        needs=needs,
        host=host,
        remarks=(*remarks(needs, host), *_disk(download, needs_disk, free_disk)),
        licence=str(licence or ""),
        notes=notes,
        problem=problem,
    )


def missing_layers(remote: RemoteImage, chains: Iterable[Sequence[str]]) -> tuple[Blob, ...]:
    """Return the layers of an image that an engine with these chains has to fetch.

    A layer is only what it is on top of those below it: the engine takes its own up to the
    first one that differs.
    """
    wanted, layers = remote.diff_ids, remote.manifest.layers
    have = max((_common(wanted, chain) for chain in chains), default=0)
    # Where the configuration is not about these layers, nothing can be told.
    missing = layers[have:] if len(wanted) == len(layers) else layers
    return tuple({layer.digest: layer for layer in missing}.values())


def _common(wanted: Sequence[str], chain: Sequence[str]) -> int:
    count = 0
    for one, other in zip(wanted, chain, strict=False):
        if one != other:
            break
        count += 1
    return count


def _is_same(local: ImageFacts, remote: RemoteImage) -> bool:
    # Engines call an image by its configuration, or by its manifest.
    known = {local.id, *(digest.rpartition("@")[2] for digest in local.digests)}
    return bool(known & {remote.manifest.digest, remote.manifest.config.digest})


def _needs(local: ImageFacts | None, remote: RemoteImage | None) -> Needs:
    if remote is not None:
        return Needs.of(remote.env, remote.architectures)
    return Needs.of(local.env, (local.architecture,)) if local else Needs()


def _disk(download: int | None, wanted: int | None, free: int | None) -> tuple[Remark, ...]:
    if not download or wanted is None or free is None or wanted <= free:
        return ()
    # What it unpacks to is a guess; what is fetched is not.
    certain = download > free
    return (
        Remark(
            code="disk",
            weight=Weight.ERROR if certain else Weight.WARNING,
            text=f"It takes {'' if certain else 'about '}{wanted / _GB:.1f} GB while it is "
            f"unpacked, and the engine's disk has {free / _GB:.1f} GB left.",
        ),
    )
