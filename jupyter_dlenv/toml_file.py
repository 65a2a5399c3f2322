"""A TOML file that a stranger may have written, read with a limit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .errors import InvalidSpecFileError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST_FILE = 1024**2


def load(path: Path) -> tuple[dict[str, Any], str]:
    """Return what is in a TOML file, and its text.

    Raises:
        FileNotFoundError
        InvalidSpecFileError: It cannot be read, or is not TOML; the message has the line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise InvalidSpecFileError(f"{path} is longer than {_LARGEST_FILE} bytes.")
        text = content.decode()
        return tomllib.loads(text), text
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidSpecFileError(
            f"{path} cannot be read.", hint="Check its name and mode.", detail=str(error)
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidSpecFileError(f"{path} is not TOML: {error}.") from error
