"""How many warm kernels there are, and what they have imported."""

from __future__ import annotations

from typing import List, MutableMapping, Optional

from .wire import say


class Settings:
    """What the variables of the container say of warm kernels."""

    def __init__(self, size: int = 1, preload: Optional[List[str]] = None) -> None:
        self.size = size
        self.preload = preload or []

    @classmethod
    def take(cls, variables: MutableMapping[str, str]) -> "Settings":
        """Read the variables of the container, and take them out: kernels need not see them."""
        size = variables.pop("DLENV_WARM_KERNELS", "1")
        preload = variables.pop("DLENV_PRELOAD", "")
        if not size.isdigit():
            say("DLENV_WARM_KERNELS is no number: %r" % size)
            size = "1"
        return cls(min(int(size), 16), [name for name in preload.split(",") if name.strip()])
