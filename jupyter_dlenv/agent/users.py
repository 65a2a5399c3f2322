"""Turns root into the user whose files the kernels write, in an image that never heard of them."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import shutil
from typing import Callable, List

from .wire import say


def become(uid: int, gid: int, name: str, home: str) -> None:
    """Give the user a home and a name, and drop to them for good.

    Raises:
        PermissionError: The agent is neither root nor that user.
    """
    if os.geteuid() != 0:
        if os.geteuid() != uid:
            raise PermissionError("only root can become uid %d" % uid)
        return
    _make_home(home, uid, gid)
    add_user(uid, gid, name, home)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        # Only if /etc cannot be written; the log said so.
        name = ""
    groups = {group.gr_gid for group in grp.getgrall() if name in group.gr_mem}
    os.setgroups(sorted(groups | {gid}))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    say("kernels run as %s (uid %d, gid %d), home %s" % (name or "?", uid, gid, home))


def add_user(uid: int, gid: int, name: str, home: str, etc: str = "/etc") -> None:
    """Make sure that the uid has a name and this home, and the gid a name.

    A system that cannot be written (``docker run --read-only``) is left as it is.
    """
    name = re.sub(r"[^a-z0-9_-]", "-", name.lower())[:24]
    if not re.match(r"[a-z_]", name):
        name = "u%d" % uid
    shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"

    def users(entries: List[List[str]]) -> None:
        own = [entry for entry in entries if len(entry) == 7 and entry[2] == str(uid)]
        for entry in own:
            entry[5] = home
            # An image's account for a service; nobody could log in.
            if os.path.basename(entry[6]) in ("", "nologin", "false"):
                entry[6] = shell
        if not own:
            taken = {entry[0] for entry in entries}
            entries.append([_unique(name, taken), "x", str(uid), str(gid), "", home, shell])

    def groups(entries: List[List[str]]) -> None:
        if not any(len(entry) == 4 and entry[2] == str(gid) for entry in entries):
            entries.append([_unique(name, {entry[0] for entry in entries}), "x", str(gid), ""])

    _rewrite(os.path.join(etc, "passwd"), users)
    _rewrite(os.path.join(etc, "group"), groups)


def allow_ssh_as_root(etc: str = "/etc") -> None:
    """Make what sshd wants of a system if it runs as root: an account, and no lock on root's."""

    def users(entries: List[List[str]]) -> None:
        if not any(entry[0] == "sshd" for entry in entries):
            taken = {entry[2] for entry in entries if len(entry) > 2}
            uid = next(str(n) for n in range(101, 1000) if str(n) not in taken)
            entries.append(["sshd", "x", uid, "65534", "", "/run/sshd", "/usr/sbin/nologin"])

    def passwords(entries: List[List[str]]) -> None:
        for entry in entries:
            # Without PAM sshd takes "!" for an account that nobody may use, even with a key.
            if entry[0] == "root" and len(entry) > 1 and entry[1].startswith("!"):
                entry[1] = "*"

    _rewrite(os.path.join(etc, "passwd"), users)
    if os.path.exists(os.path.join(etc, "shadow")):
        _rewrite(os.path.join(etc, "shadow"), passwords)


def make_sshd_directory(run: str = "/run") -> None:
    """Make the empty directory without which sshd does not run as root.

    On a system of the user's, too: its own service makes it whenever that starts, and it is gone
    when the service stops or was never there.
    """
    try:
        os.makedirs(os.path.join(run, "sshd"), mode=0o755, exist_ok=True)
    except OSError as error:
        say("sshd has no directory of its own: %s" % error)


def _make_home(home: str, uid: int, gid: int) -> None:
    try:
        os.makedirs(home, exist_ok=True)
        # No link is followed: this is still root.
        descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # A new volume is root's and empty.  Anything else belongs to somebody already.
            if os.fstat(descriptor).st_uid == 0 and not os.listdir(descriptor):
                os.fchown(descriptor, uid, gid)
        finally:
            os.close(descriptor)
    except OSError as error:
        say("the home directory cannot be prepared: %s" % error)


def _rewrite(path: str, change: Callable[[List[List[str]]], None]) -> None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    entries = [line.split(":") for line in before.splitlines() if line]
    change(entries)
    after = "".join(":".join(entry) + "\n" for entry in entries)
    if after == before:
        return
    temporary = path + ".dlenv"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        # It may be the file of passwords: not for others to read, not even for a moment.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(after)
        if before:
            found = os.stat(path)
            os.chown(temporary, found.st_uid, found.st_gid)
            shutil.copymode(path, temporary)
        else:
            os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        say("%s cannot be written: %s" % (path, error))
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _unique(name: str, taken: "set[str]") -> str:
    candidates = [name] + ["%s%d" % (name, number) for number in range(2, len(taken) + 3)]
    return next(candidate for candidate in candidates if candidate not in taken)
