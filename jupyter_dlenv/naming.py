"""What an environment is called whose user gave it no name."""

from __future__ import annotations

import re
from collections.abc import Collection

#: Room for ``-2`` to ``-999`` below the longest name.
_LONGEST_BASE = 36


def name_for(image: str, taken: Collection[str]) -> str:
    """Return a free name that reminds of an image, such as ``pytorch`` or ``pytorch-2``."""
    last = re.split(r"[@:]", image.rstrip("/").rpartition("/")[2])[0]
    base = re.sub(r"[^a-z0-9_-]+", "-", last.lower()).strip("-_")[:_LONGEST_BASE]
    base = base or "environment"
    number = 1
    name = base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name
