"""What a kernelspec runs: reads the arguments, and leaves as the kernel left."""

from __future__ import annotations

import os
import sys

if sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109 before anything else is imported
    # The directory of the notebook: a ``queue.py`` there is none of ours.
    del sys.path[0]


def main(words: list[str]) -> int:
    """Be the kernel of an environment, until that ends; return its exit code."""
    # Imported here: only now does the path hold nothing foreign.
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="jupyter_dlenv.kernels.bridge", description=__doc__)
    parser.add_argument("environment")
    parser.add_argument("--engine", default="")
    parser.add_argument("-f", "--connection-file", required=True)
    # `jupyter run` hands a kernel its own arguments too, and kernels overlook them.
    arguments, _ = parser.parse_known_args(words)

    from .stand_in import run  # noqa: PLC0415

    return run(arguments.environment, arguments.engine, arguments.connection_file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
