"""What must not be shown or written where others may see it: variables and passwords."""

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


def without_password(url: str) -> str:
    """Return an address, or a name, as messages and pages may have it."""
    scheme, found, rest = url.partition("://")
    # The last one: a password may have any of these characters in it.
    login, at, place = rest.rpartition("@")
    return f"{scheme}{found}{login.partition(':')[0]}{at}{re.split('[?#]', place)[0]}"
