"""How far ahead an environment prepares kernels, and how its agent is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from ..models import EnvironmentSpec

_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """What is done before anybody asks for a kernel.

    Attributes:
        kernels: How many idle kernels each environment keeps ready; 0 keeps none.
        preload: Shell patterns over image references, and what idle kernels import there.
    """

    kernels: int = 1
    preload: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def applied_to(self, spec: EnvironmentSpec) -> EnvironmentSpec:
        """Return the environment with the variables by which its agent learns it.

        An environment's own variables of these names win, so a ``dlenv.toml`` or
        ``--env DLENV_WARM_KERNELS=0`` decides for one environment.
        """
        modules = [
            module
            for pattern, wanted in self.preload.items()
            if fnmatchcase(spec.image, pattern)
            for module in wanted
            if _MODULE.match(module)
        ]
        variables = {"DLENV_WARM_KERNELS": str(self.kernels)}
        if modules:
            variables["DLENV_PRELOAD"] = ",".join(dict.fromkeys(modules))
        return replace(spec, env={**variables, **spec.env})
