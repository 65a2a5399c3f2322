"""Which variables must not be written into files that people share, as far as names tell."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|AUTH(?!OR)|_KEY\Z|\AKEY\Z"
    r"|_PAT\Z|_PWD\Z|DSN\Z|COOKIE",
    re.IGNORECASE,
)


def looks_secret(name: str) -> bool:
    """Tell whether a variable of that name is likely to hold a secret."""
    return bool(_SECRET.search(name))
