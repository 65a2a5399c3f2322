"""The command line for whoever has a Python and no ``PATH``: ``python -m jupyter_dlenv``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
