"""The SSH server of an environment: its files, its start, and its next start when it has died.

The server runs as the user of the agent and lets in nobody else.  Its files lie in the
agent's directory, which is no part of the image nor of the container: whoever saves the
container as an image does not hand out the host key.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import subprocess
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import users
from .wire import RequestError, say

PORT = 22
#: Where this machine's own server was put if the image had none.
CARRIED = "/opt/dlenv/sshd"
_PLACES = "/usr/sbin:/usr/local/sbin:/sbin"
_CHECK_SECONDS = 10
#: Whoever asks waits for ten.
_LISTEN_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_HEALTHY_SECONDS = 60.0

#: sshd sets these itself, or they mean something only to the process that has them.
_OWN = frozenset(
    {
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "MAIL",
        "TERM",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "DLENV_PATH",
    }
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LONGEST_VALUE = 32 * 1024
_LONGEST_VARIABLES = 128 * 1024
#: The first version that reads a quotation mark inside quotation marks.
_KNOWS_ESCAPES = (8, 7)

_CONFIG = """\
# Written by jupyter_dlenv at every start.
Port {port}
HostKey {directory}/ssh-host-key
PidFile {directory}/ssh-pid
AuthorizedKeysFile {directory}/ssh-authorized-keys
# Our files are in a directory that others inside may write to, but they are nobody else's.
StrictModes no
PermitRootLogin {root}
AllowUsers {user}
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
UsePAM no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding yes
StreamLocalBindUnlink yes
GatewayPorts no
X11Forwarding no
PermitTunnel no
PermitUserRC no
PermitUserEnvironment no
PrintMotd no
MaxStartups 30:30:100
MaxSessions 64
LoginGraceTime 20
ClientAliveInterval 30
ClientAliveCountMax 4
UseDNS no
AcceptEnv LANG LC_* COLORTERM
Subsystem sftp internal-sftp
LogLevel INFO
"""


class SshServer:
    """Writes what sshd needs, and keeps one running if it is to listen.

    Args:
        directory: The agent's own.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._started = 0.0
        self._pause = _FIRST_PAUSE
        self._restarting: Optional[asyncio.TimerHandle] = None
        self._closed = False

    def resume(self) -> None:
        """Listen again after the environment was started without anybody's asking for it."""
        if not os.path.exists(self._path("ssh-listen")):
            return
        try:
            keys = self._read("ssh-host-key"), self._read("ssh-authorized-keys")
            self.configure(*keys, listen=True, own_system=True)
        except (OSError, RequestError) as error:
            say("sshd cannot be started: %s" % error)

    def configure(
        self, host_key: str, authorized_keys: str, *, listen: bool, own_system: bool
    ) -> Dict[str, Any]:
        """Write the files, and start the server if it is to listen and does not yet.

        Args:
            own_system: The files of the system are the environment's own, and may be changed.

        Raises:
            RequestError: There is no server in the image, or it cannot be used.
        """
        sshd = find()
        if not sshd:
            raise RequestError("ssh-unavailable", "The image has no SSH server.")
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError as error:
            message = "The uid %d has no name in the environment." % os.getuid()
            raise RequestError("ssh-unavailable", message) from error
        found = version(sshd)
        if os.getuid() == 0:
            users.make_sshd_directory()
            if own_system:
                users.allow_ssh_as_root()
        try:
            self._write("ssh-host-key", host_key)
            self._write("ssh-authorized-keys", authorized_keys)
            self._write("ssh-config", self._config(user, sshd, found))
            # Not the program itself: the directory may be mounted without the right to execute.
            self._write("ssh-stream", 'exec "%s" -i -f "%s"\n' % (sshd, self._path("ssh-config")))
        except OSError as error:
            message = "The files of the SSH server cannot be written."
            raise RequestError("ssh-unavailable", message, str(error)) from error
        self._check(sshd)
        if listen:
            self._write("ssh-listen", "")
            self._listen(sshd)
        return {"user": user, "sshd": sshd, "version": "%d.%d" % found}

    async def listening(self) -> None:
        """Wait until connections are accepted; not for ever, nor for a server that has ended.

        A published port accepts them anyway, and drops them at once.
        """
        end = time.monotonic() + _LISTEN_SECONDS
        # It is written when the server listens.
        while self._process is not None and not os.path.exists(self._path("ssh-pid")):
            if time.monotonic() > end:
                say("sshd does not listen yet")
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def reaped(self, pid: int, code: int) -> None:
        """Note the end of a process; if it was the server, start it again after a while."""
        if self._process is None or self._process.pid != pid:
            return
        self._process.returncode = code
        self._process = None
        if self._closed:
            return
        if time.monotonic() - self._started > _HEALTHY_SECONDS:
            self._pause = _FIRST_PAUSE
        say("sshd ended with code %d; starting it again in %g s" % (code, self._pause))
        loop = asyncio.get_event_loop()
        self._restarting = loop.call_later(self._pause, self._listen, find())
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """End the server; what is connected is ended with the environment."""
        self._closed = True
        if self._restarting is not None:
            self._restarting.cancel()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def _listen(self, sshd: str) -> None:
        if self._process is not None or self._closed or not sshd:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path("ssh-pid"))
        try:
            self._process = subprocess.Popen(
                [sshd, "-D", "-e", *_options(sshd), "-f", self._path("ssh-config")],
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            say("sshd cannot be started: %s" % error)
            return
        self._started = time.monotonic()

    def _check(self, sshd: str) -> None:
        try:
            checked = subprocess.run(
                [sshd, "-t", "-f", self._path("ssh-config")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RequestError(
                "ssh-unavailable", "The SSH server cannot be run.", str(error)
            ) from error
        if checked.returncode:
            detail = checked.stdout.decode("utf-8", "replace")[-4000:]
            raise RequestError("ssh-unavailable", "The SSH server refuses its settings.", detail)

    def _config(self, user: str, sshd: str, found: Tuple[int, int]) -> str:
        lines = _CONFIG.format(
            port=PORT,
            directory=self._directory,
            user=user,
            root="prohibit-password" if os.getuid() == 0 else "no",
        )
        for option, program in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
            path = os.path.join(os.path.dirname(sshd), program)
            if sshd.startswith(CARRIED) and os.path.exists(path):
                lines += "%s %s\n" % (option, path)
        environment = dict(os.environ)
        if sshd.startswith(CARRIED):
            # rsync came along.
            environment["PATH"] = environment.get("PATH", os.defpath) + ":" + CARRIED
        return lines + set_env(environment, escapes=found >= _KNOWS_ESCAPES)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _read(self, name: str) -> str:
        with open(self._path(name), encoding="utf-8") as file:
            return file.read()

    def _write(self, name: str, text: str) -> None:
        new = self._path(name + ".new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.rename(new, self._path(name))


def find() -> str:
    """Return the absolute path of the server: the image's own, or the one we brought; or empty."""
    path = "%s:%s:%s" % (_PLACES, os.environ.get("PATH", os.defpath), CARRIED)
    found = shutil.which("sshd", path=path)
    return os.path.abspath(found) if found else ""


def version(sshd: str) -> Tuple[int, int]:
    """Return the version of OpenSSH that a server is of; (0, 0) if it does not tell."""
    try:
        # An old one does not know the option, and says its version in the complaint.
        said = subprocess.run(
            [sshd, "-V"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_CHECK_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(rb"OpenSSH_(\d+)\.(\d+)", said)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def set_env(environment: Mapping[str, str], *, escapes: bool) -> str:
    """Return the line by which every kind of session has the variables of the image.

    Args:
        escapes: The server reads a quotation mark that has a backslash before it.
    """
    values = dict(environment)
    # The profile of a login shell replaces PATH; /etc/profile.d/zz-dlenv.sh brings it back.
    values["DLENV_PATH"] = values.get("PATH", os.defpath)
    words: List[str] = []
    room = _LONGEST_VARIABLES
    left_out = []
    for name in sorted(values, key=lambda name: (len(values[name]), name)):
        value = values[name]
        if name in _OWN and name != "DLENV_PATH":
            continue
        possible = _NAME.match(name) and not re.search(r"[\n\r\0]", value)
        if not escapes and re.search(r'["\\]', value):
            possible = None
        room -= len(value)
        if not possible or len(value) > _LONGEST_VALUE or room < 0:
            left_out.append(name)
            continue
        words.append('"%s=%s"' % (name, re.sub(r'([\\"])', r"\\\1", value)))
    if left_out:
        say("not passed on to SSH: %s" % ", ".join(left_out))
    return "SetEnv %s\n" % " ".join(words)


def _options(sshd: str) -> List[str]:
    # Up to 9.7 the server runs itself again for each connection, which it cannot do when it
    # was started by way of another program; since 9.8 it runs sshd-session.
    if sshd.startswith(CARRIED) and version(sshd) < (9, 8):
        return ["-r"]
    return []
