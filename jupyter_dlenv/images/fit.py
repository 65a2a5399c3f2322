"""Whether an image can run on a host's processor, driver and GPUs, told from its variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from .remote import processor

#: Names of GPUs that NVIDIA's libraries for forward compatibility run on.
_DATA_CENTRE = re.compile(r"\b(?:[ABHV]\d{2,3}|P100|T4|G[BH]\d{3}|L4|L40S?|L20)\b")
_CONDITION = re.compile(r"(cuda|driver)(>=|<=|=|<|>)([0-9.]+)")
_PTX = "+PTX"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """What counts of a GPU here: its name, and its compute capability such as ``8.9``."""

    name: str
    capability: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where an image is to run; what is empty is not known, and nothing is claimed of it.

    Attributes:
        architecture: As engines say it: ``x86_64``.
        driver: Version of the NVIDIA driver.
        cuda: The highest CUDA version of the driver: ``13.0``.
    """

    architecture: str = ""
    driver: str = ""
    cuda: str = ""
    gpus: tuple[HostGpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What an image asks of its host.

    Attributes:
        architectures: In the words of registries: ``amd64``.
        driver: The driver that it was built for, or empty.
        requires: ``NVIDIA_REQUIRE_CUDA``: alternatives, which NVIDIA's hook insists on.
        capabilities: Compute capabilities that it has code for, some with ``+PTX``.
    """

    architectures: tuple[str, ...] = ()
    driver: str = ""
    requires: str = ""
    capabilities: tuple[str, ...] = ()

    @classmethod
    def of(cls, env: Mapping[str, str], architectures: Iterable[str]) -> Needs:
        """Read the variables of an image."""
        return cls(
            architectures=tuple(a for a in architectures if a),
            driver=env.get("CUDA_DRIVER_VERSION", ""),
            requires=env.get("NVIDIA_REQUIRE_CUDA", ""),
            capabilities=built_for(env),
        )


class Weight(str, Enum):
    """How much a remark matters: it will not work, it may not, or it is good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something to know before an image is fetched.

    Attributes:
        code: For programs; does not change.
        of_tag: Another tag of the same image may be without it.
    """

    code: str
    weight: Weight
    text: str
    of_tag: bool = False


def remarks(needs: Needs, host: Host) -> tuple[Remark, ...]:
    """Return what stands against an image on a host, the worst first."""
    found = [
        remark for remark in (_architecture(needs, host), *_gpus(needs, host)) if remark is not None
    ]
    return tuple(sorted(found, key=lambda r: tuple(Weight).index(r.weight)))


def works(needs: Needs, host: Host) -> bool:
    """Tell whether nothing speaks against an image on a host."""
    return all(r.weight is Weight.INFO for r in remarks(needs, host))


def is_data_centre(name: str) -> bool:
    """Tell whether NVIDIA's libraries for forward compatibility run on a GPU of that name."""
    return bool(_DATA_CENTRE.search(name))


def built_for(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the compute capabilities that an image has code for."""
    capabilities = env.get("CUDA_ARCH_LIST") or env.get("TORCH_CUDA_ARCH_LIST", "")
    # Only the second list says for which of them later GPUs can make code of their own.
    ptx = _PTX in env.get("TORCH_CUDA_ARCH_LIST", "")
    built = capabilities.replace(";", " ").split()
    if ptx and built and not built[-1].endswith(_PTX):
        built[-1] += _PTX
    return tuple(built)


def has_code(capability: str, built: tuple[str, ...]) -> bool:
    """Tell whether an image has code that a GPU can run, or can make some."""
    wanted = _capability(capability)
    for entry in built:
        has = _capability(entry.removesuffix(_PTX))
        # Code runs on later GPUs of the same generation, PTX on those of later ones too.
        if has <= wanted and (has[0] == wanted[0] or entry.endswith(_PTX)):
            return True
    return False


def meets(requires: str, *, cuda: str, driver: str) -> bool:
    """Tell whether a driver meets one of an image's alternatives, as far as can be told."""
    alternatives = requires.split()
    return not alternatives or any(
        all(_holds(condition, cuda, driver) for condition in alternative.split(","))
        for alternative in alternatives
    )


def major(version: str) -> int:
    """Return the branch of a driver: 580 of ``580.95.05``, and 0 if it is none."""
    number = version.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0


def _architecture(needs: Needs, host: Host) -> Remark | None:
    wanted = processor(host.architecture)
    if not wanted or not needs.architectures or wanted in needs.architectures:
        return None
    return Remark(
        code="architecture",
        weight=Weight.ERROR,
        text=f"It was built for {' and '.join(needs.architectures)}; this engine is {wanted}.",
        of_tag=True,
    )


def _gpus(needs: Needs, host: Host) -> tuple[Remark | None, ...]:
    if not host.gpus:
        return ()
    return _requirement(needs, host), _driver(needs, host), _code(needs, host)


def _requirement(needs: Needs, host: Host) -> Remark | None:
    if meets(needs.requires, cuda=host.cuda, driver=host.driver):
        return None
    return Remark(
        code="cuda",
        weight=Weight.ERROR,
        text=f"It requires {needs.requires}, and this machine's driver {host.driver} has CUDA "
        f"{host.cuda}: containers with GPUs will not start.",
        of_tag=True,
    )


def _driver(needs: Needs, host: Host) -> Remark | None:
    wanted, have = major(needs.driver), major(host.driver)
    if not (wanted and have) or have >= wanted:
        return None
    text = f"It was built for driver {needs.driver}, and this machine has {host.driver}"
    if all(is_data_centre(gpu.name) for gpu in host.gpus):
        return Remark(
            code="driver",
            weight=Weight.INFO,
            text=f"{text}: it runs in NVIDIA's compatibility mode on these GPUs.",
        )
    return Remark(
        code="driver",
        weight=Weight.WARNING,
        text=f"{text}: CUDA will probably not start on these GPUs (errors 803 and 804).",
        of_tag=True,
    )


def _code(needs: Needs, host: Host) -> Remark | None:
    known = [gpu for gpu in host.gpus if gpu.capability]
    lacking = [gpu for gpu in known if not has_code(gpu.capability, needs.capabilities)]
    if not needs.capabilities or not lacking:
        return None
    names = " and ".join(dict.fromkeys(f"{g.name} ({g.capability})" for g in lacking))
    text = f"It has code for compute capability {', '.join(needs.capabilities)}, not for {names}."
    if len(lacking) == len(host.gpus):
        return Remark(code="capability", weight=Weight.ERROR, text=text, of_tag=True)
    return Remark(
        code="capability",
        weight=Weight.WARNING,
        text=f"{text} The other GPUs can be used.",
    )


def _holds(condition: str, cuda: str, driver: str) -> bool:
    match = _CONDITION.fullmatch(condition)
    have = cuda if match and match[1] == "cuda" else driver
    if match is None or not have:
        # Of brands and architectures, the hook knows more than we do.
        return True
    wanted = _numbers(match[3])
    found = _numbers(have)[: len(wanted)]
    return {
        ">=": found >= wanted,
        "<=": found <= wanted,
        "=": found == wanted,
        "<": found < wanted,
        ">": found > wanted,
    }[match[2]]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n[:9]) for n in version.split(".") if n.isascii() and n.isdigit())


def _capability(text: str) -> tuple[int, int]:
    match = re.match(r"(\d{1,3})\.(\d{1,3})", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else (0, 0)
