"""The pip of this machine: where it is, how it is run, how it is lent to an image without one."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import os
import signal
import sys
import sysconfig
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from ..errors import BuildFailedError


async def run_pip(*arguments: str, limit: float) -> str:
    """Run this machine's pip and return what it printed; it is killed on cancellation.

    Raises:
        BuildFailedError: It failed, or took longer than ``limit`` seconds, or there is none.
    """
    command = await asyncio.to_thread(_command)
    # One that is killed does not tidy up; what is left of it must not hide why it was.
    with tempfile.TemporaryDirectory(prefix="dlenv-pip-", ignore_cleanup_errors=True) as scratch:
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **os.environ,
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_NO_INPUT": "1",
                "TMPDIR": scratch,
            },
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), limit)
        except asyncio.TimeoutError as error:
            raise BuildFailedError(
                f"pip had not ended on this machine after {limit:.0f} s.",
                hint="Check the network and the proxy of this machine.",
            ) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    text = output.decode(errors="replace")
    if process.returncode:
        raise BuildFailedError(
            "pip failed on this machine.",
            hint="Check the network and the pip configuration of this machine.",
            detail=text[-8000:],
        )
    return text


def pip_program() -> bytes:
    """Return a pip that any Python runs: ``python FILE/pip``; blocks.

    Raises:
        BuildFailedError: Python was installed here without pip.
    """
    bundled = _bundled()
    if bundled is not None:
        return bundled.read_bytes()
    package = _installed()
    if package is None:
        raise _no_pip()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                archive.write(path, path.relative_to(package.parent))
    return buffer.getvalue()


def _command() -> tuple[str, ...]:
    if _installed() is not None:
        return (sys.executable, "-m", "pip")
    bundled = _bundled()
    if bundled is None:
        raise _no_pip()
    return (sys.executable, f"{bundled}/pip")


def _installed() -> Path | None:
    spec = importlib.util.find_spec("pip")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _bundled() -> Path | None:
    # Debian and Fedora keep the wheels of ensurepip elsewhere.
    directories = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is not None and ensurepip.origin:
        directories.append(str(Path(ensurepip.origin).parent / "_bundled"))
    wheels = [w for d in directories if d for w in sorted(Path(d).glob("pip-*.whl"))]
    return wheels[-1] if wheels else None


def _no_pip() -> BuildFailedError:
    return BuildFailedError(
        "There is no pip on this machine that could fetch a Jupyter kernel.",
        hint="Install pip where Jupyter runs: `python -m ensurepip`.",
    )
