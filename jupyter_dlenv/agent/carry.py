"""Brings what pip has installed for the user out of the home directory, which is in no image.

Run inside an environment as root, by the Python of its kernels, with the user's HOME::

    python -c TEXT add WHERE     copies packages and programs; prints their names, if there are any
    python -c TEXT remove WHERE  takes the copy away again, be it complete or not

Of two WHERE, the one that comes later in the alphabet is the newer one.

An image that is made in between has them beside the packages that it had before.  They come
first among these, as they do at home, and after what the next user installs.
"""

import glob
import os
import shutil
import site
import sys

PROGRAMS = "/usr/local/bin"
#: Read whenever Python starts.  The newest copy comes before older ones, and all of them
#: before the directory in which the line stands.
_LINE = (
    "import site, sys; site.addsitedir({copy!r}); sys.path.remove({copy!r}); "
    "sys.path.insert(next((i for i, p in enumerate(sys.path) if p == {beside!r} "
    "or p.startswith({base!r})), len(sys.path)), {copy!r})\n"
)


def add(where: str) -> str:
    """Copy what there is; return the names of the packages, one in each line."""
    packages = site.getusersitepackages()
    found = glob.glob(os.path.join(glob.escape(packages), "*.dist-info"))
    if not found:
        return ""
    try:
        copy = os.path.join(where, "packages")
        shutil.copytree(packages, copy, symlinks=True)
        programs = os.path.join(site.getuserbase(), "bin")
        if os.path.isdir(programs):
            shutil.copytree(programs, os.path.join(where, "bin"), symlinks=True)
            _link(os.path.join(where, "bin"))
        _open_to_all(where)
        beside = site.getsitepackages()[0]
        os.makedirs(beside, exist_ok=True)
        with open(_path_file(where), "w", encoding="utf-8") as file:
            file.write(_LINE.format(copy=copy, beside=beside, base=os.path.dirname(where) + os.sep))
    except BaseException:
        # Also of whoever has taken it away in the middle.
        remove(where)
        raise
    return "\n".join(os.path.basename(path).partition("-")[0] for path in sorted(found))


def remove(where: str) -> None:
    """Take a copy away, and what leads to it."""
    for path in glob.glob(os.path.join(PROGRAMS, "*")):
        if os.path.islink(path) and os.readlink(path).startswith(where + os.sep):
            os.unlink(path)
    if os.path.exists(_path_file(where)):
        os.unlink(_path_file(where))
    shutil.rmtree(where, ignore_errors=True)


def _link(programs: str) -> None:
    os.makedirs(PROGRAMS, exist_ok=True)
    for name in os.listdir(programs):
        link = os.path.join(PROGRAMS, name)
        # What the image has itself stays.
        if not os.path.lexists(link):
            os.symlink(os.path.join(programs, name), link)


def _open_to_all(where: str) -> None:
    """Let every user read it, whoever that will be, and nobody change it."""
    for directory, _, names in os.walk(where):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            os.lchown(path, 0, 0)
            if not os.path.islink(path):
                mode = os.stat(path).st_mode
                execute = 0o111 if os.path.isdir(path) or mode & 0o100 else 0
                os.chmod(path, 0o644 | execute)
    os.chmod(os.path.dirname(where), 0o755)  # noqa: S103 others read it, as all packages


def _path_file(where: str) -> str:
    return os.path.join(site.getsitepackages()[0], "dlenv-carried-%s.pth" % os.path.basename(where))


if __name__ == "__main__":
    if sys.argv[1] == "add":
        print(add(sys.argv[2]))
    else:
        remove(sys.argv[2])
