#!/usr/bin/env python3
"""The laptop's end of SSH through a Jupyter server: a ProxyCommand that needs only its URL.

It stands alone: Python 3.8 and the package websocket-client are all that it needs::

    Host dlenv-bert
        ProxyCommand python3 ~/.ssh/ssh_proxy.py https://hub.example.org/user/me/ bert

The token is never an argument: other users of the laptop can read those.  It comes from the
variable JUPYTER_DLENV_TOKEN, from what ``--token-command`` prints, or from a file that nobody else
can read: ``--token-file``, or by default ``~/.config/jupyter_dlenv/tokens/HOST``, which
``--store-token`` writes.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import shlex
import ssl
import stat
import subprocess
import sys
import threading
from typing import Any, List, Optional
from urllib.parse import quote, urlsplit

VARIABLE = "JUPYTER_DLENV_TOKEN"
#: The one text message: nothing more comes from this side.
END = "end"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PIECE = 64 * 1024
_CONNECT_SECONDS = 60
_COMMAND_SECONDS = 60


class ProxyError(Exception):
    """Why there is no connection, in one sentence for the user."""


def main(arguments: Optional[List[str]] = None) -> int:
    """Pass standard input and output through the websocket; return the exit code."""
    options = _parse(arguments)
    try:
        url = socket_url(options.url, options.name, plain=options.plain)
        token_file = options.token_file or _default_file(url)
        if options.store_token:
            _store(token_file)
            return 0
        token = find_token(token_file, options.token_command)
        _pass_on(_connect(url, token))
    except ProxyError as error:
        print("ssh-proxy: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parse(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ssh_proxy.py", description="Carry SSH to an environment through a Jupyter server."
    )
    parser.add_argument("url", help="of the Jupyter server, as the browser has it before /lab")
    parser.add_argument("name", help="of the environment")
    parser.add_argument("--token-file", default="", help="a file that only you can read")
    parser.add_argument("--token-command", default="", help="a program that prints the token")
    parser.add_argument("--store-token", action="store_true", help="ask for the token and keep it")
    parser.add_argument(
        "--plain", action="store_true", help="send the token unencrypted: http:// off this machine"
    )
    return parser.parse_args(arguments)


def socket_url(url: str, name: str, *, plain: bool = False) -> str:
    """Return the URL of the websocket.

    Raises:
        ProxyError: The URL or the name cannot be, or the token would be open to everybody.
    """
    parts = urlsplit(url)
    schemes = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}
    if parts.scheme not in schemes or not parts.hostname:
        raise ProxyError("%r is not the URL of a Jupyter server." % url)
    if parts.username or parts.password or "token=" in parts.query:
        raise ProxyError("Leave the token out of the URL: others can read arguments.")
    if not _NAME.match(name):
        raise ProxyError("%r is not the name of an environment." % name)
    scheme = schemes[parts.scheme]
    if scheme == "ws" and parts.hostname not in _LOOPBACK and not plain:
        raise ProxyError("The token would travel unencrypted: use https://, or say --plain.")
    path = re.sub(r"/(lab|tree|notebooks|doc)(/.*)?\Z", "", parts.path).rstrip("/")
    path = quote(path, safe="/%:@!$&'()*+,;=~")
    return "%s://%s%s/dlenv/api/environments/%s/ssh" % (scheme, parts.netloc, path, name)


def find_token(token_file: str, command: str) -> str:
    """Return the token of the user, from wherever it may be.

    Raises:
        ProxyError: There is none, or others can read it.
    """
    if command:
        return _clean(_output(command), "The token command")
    if os.environ.get(VARIABLE):
        return _clean(os.environ[VARIABLE], VARIABLE)
    path = os.path.expanduser(token_file)
    try:
        with open(path, encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
                raise ProxyError("Others can read %s: run chmod 600 on it." % path)
            return _clean(file.read(), path)
    except OSError as error:
        raise ProxyError(
            "There is no token: set %s, or store one with --store-token (%s)." % (VARIABLE, error)
        ) from error


def _default_file(url: str) -> str:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(url).netloc)
    return os.path.join(home, "jupyter_dlenv", "tokens", host)


def _store(path: str) -> None:
    asked = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    token = _clean(asked, "The input")
    path = os.path.expanduser(path)
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    temporary = path + ".new"
    if os.path.exists(temporary):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    os.replace(temporary, path)
    print("The token is in %s, readable by you alone." % path, file=sys.stderr)


def _output(command: str) -> str:
    try:
        return subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            timeout=_COMMAND_SECONDS,
            universal_newlines=True,
        ).stdout
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        # Not its output, which may be the token.
        raise ProxyError("The token command failed: %s." % type(error).__name__) from error


def _clean(text: str, source: str) -> str:
    token = text.strip()
    if not re.match(r"[\x21-\x7e]+\Z", token):
        raise ProxyError("%s has no token." % source)
    return token


def _connect(url: str, token: str) -> Any:
    try:
        import websocket
    except ImportError as error:
        raise ProxyError("Install it first: python3 -m pip install websocket-client") from error
    try:
        return websocket.create_connection(
            url,
            timeout=_CONNECT_SECONDS,
            header=["Authorization: token %s" % token],
            # The server takes a connection that has one for a web page's.
            suppress_origin=True,
            # The token is for this server, not for where it may send us.
            redirect_limit=0,
            enable_multithread=True,
            sslopt={"context": ssl.create_default_context()},
        )
    except websocket.WebSocketBadStatusException as error:
        raise ProxyError(_refusal(error)) from error
    except (websocket.WebSocketException, OSError, ValueError) as error:
        raise ProxyError("%s cannot be reached: %s" % (urlsplit(url).netloc, error)) from error


def _refusal(error: Any) -> str:
    try:
        said = json.loads(error.resp_body)["error"]
        return "%s %s" % (said["message"], said["hint"])
    except (ValueError, KeyError, TypeError):
        if error.status_code in (301, 302, 303, 307, 308, 401, 403):
            return "The server does not accept the token (HTTP %d)." % error.status_code
        return "The server answered HTTP %d; is its URL right?" % error.status_code


def _pass_on(connection: Any) -> None:
    import websocket

    # From here on silence is no failure: SSH has its own ways to notice one.
    connection.settimeout(None)
    if os.name == "nt":
        import msvcrt

        for descriptor in (0, 1):
            msvcrt.setmode(descriptor, os.O_BINARY)  # type: ignore[attr-defined]
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    try:
        while True:
            # Answers pings on the way.
            opcode, data = connection.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
    except (websocket.WebSocketException, OSError):
        # The connection has ended, or ssh has: it says what that means.
        return


def _send(connection: Any) -> None:
    import websocket

    try:
        while True:
            data = os.read(0, _PIECE)
            if not data:
                break
            connection.send_binary(data)
        connection.send(END)
    except (websocket.WebSocketException, OSError):
        # The other thread meets the same, and ends the program.
        return


if __name__ == "__main__":
    # The thread that waits for input would keep the program from ending by itself.
    code = main()
    sys.stderr.flush()
    os._exit(code)
