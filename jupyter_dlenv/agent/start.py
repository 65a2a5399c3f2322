"""What happens before the agent listens: its arguments, its user, its variables."""

from __future__ import annotations

import argparse
import os
import pwd
import re
from typing import List

from . import users
from .settings import Settings
from .wire import say
from .zygote_start import Begun

#: What the system allows for the path of a unix socket, less the name of a kernel's.
_LONGEST_DIRECTORY = 107 - len("/k-12345678-1")


def main(argv: List[str]) -> int:
    """Run until SIGTERM or a ``shutdown`` request; return the exit code."""
    arguments = _parse(argv)
    if arguments.uid is not None:
        users.become(arguments.uid, arguments.gid, arguments.user_name, arguments.home)
    _set_variables(arguments.home, own_home=arguments.uid is not None)
    settings = Settings.take(os.environ)
    if not os.access(arguments.directory, os.W_OK | os.X_OK):
        say("uid %d may not write in %s" % (os.getuid(), arguments.directory))
        return 1

    begun = Begun(arguments.directory, arguments.home)
    # Only now: these take a while, and the zygote's own imports run meanwhile.
    import asyncio

    from .supervisor import Supervisor

    async def serve() -> int:
        # Made here: up to Python 3.9 an event belongs to the loop of the moment it is made in.
        return await Supervisor(arguments.directory, arguments.home, settings, begun).run()

    return asyncio.run(serve())


def _parse(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dlenv-agent", description=__doc__)
    parser.add_argument("--directory", required=True, help="where the sockets are made")
    parser.add_argument("--home", required=True, help="the home directory of kernels")
    parser.add_argument("--uid", type=int, help="become this user before anything else")
    parser.add_argument("--gid", type=int)
    parser.add_argument("--user-name", default="")
    arguments = parser.parse_args(argv)
    if len(os.fsencode(arguments.directory)) > _LONGEST_DIRECTORY:
        parser.error("--directory is longer than a socket's path can be")
    if re.search(r"[:\n\0]", arguments.home) or not os.path.isabs(arguments.home):
        parser.error("--home must be an absolute path without a colon")
    if arguments.uid is not None and arguments.gid is None:
        arguments.gid = arguments.uid
    return arguments


def _set_variables(home: str, own_home: bool) -> None:
    os.environ["HOME"] = home
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # getpass.getuser() fails without an entry and without these variables.
        name = "u%d" % os.getuid()
    os.environ["USER"] = os.environ["LOGNAME"] = name
    # A Debian image refuses `pip install` otherwise; here the container is the virtual environment.
    os.environ["PIP_BREAK_SYSTEM_PACKAGES"] = "1"
    # Set when the agent itself was started from a kernel; ours would watch a foreign process.
    os.environ.pop("JPY_PARENT_PID", None)
    if own_home:
        # Where pip puts the commands of packages if it may not write to the system's.
        os.environ["PATH"] = os.path.join(home, ".local/bin:") + os.environ.get("PATH", os.defpath)
