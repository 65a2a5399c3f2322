"""The first thing that an agent does: the imports of the zygote take longer than its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


class Begun:
    """A zygote that imports, and our end of its socket."""

    def __init__(self, directory: str, home: str) -> None:
        self.log = os.path.join(directory, "zygote.log")
        self.control, theirs = socket.socketpair()
        self.control.setblocking(False)
        descriptor = -1
        try:
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self.process = subprocess.Popen(
                [sys.executable, os.path.dirname(__file__), "--zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd=home if os.path.isdir(home) else "/",
                start_new_session=True,
            )
        except OSError:
            self.control.close()
            raise
        finally:
            if descriptor >= 0:
                os.close(descriptor)
            theirs.close()
