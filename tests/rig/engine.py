"""Brings up Docker engines for the demo and the tests, and takes them down without a trace.

``python -m rig.engine up`` uses the engine that answers.  Where none does, it starts a modern
one at the default socket, with everything that it owns below /opt/dlenv-engine.  The other
profiles run beside it, for tests: each has its own socket, data, bridge and firewall rules.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ask, debian, network, programs
from .profiles import MODERN, PROFILES, ROOT, Profile, pretend_gpus, settings
from .programs import CannotError
from .shell import run, until

#: What an engine's processes are called; nothing else is ever ended.
_PROGRAMS = ("dockerd", "containerd", "containerd-shim-runc-v2", "containerd-shim")


@dataclass(frozen=True)
class Running:
    """An engine that answers."""

    url: str
    version: str
    data_root: Path


def started_by_rig(url: str) -> bool:
    """Tell whether the engine at a URL is one of ours, to do with as we like."""
    return any(profile.url == url and _processes(profile) for profile in PROFILES.values())


def why_not(profile_name: str) -> str:
    """Return why this machine cannot run a second engine of the profile; empty if it can."""
    if os.getuid() != 0:
        return "Only root can start an engine."
    if debian.release() != ("debian", "12"):
        return f"The {profile_name} engine is unpacked from packages for Debian 12."
    return ""


def up(profile: Profile) -> Running:
    """Start an engine, unless it runs; return when it answers.

    Raises:
        CannotError: It cannot be started on this machine, or it ended at once.
    """
    if os.getuid() != 0:
        raise CannotError("No Docker engine answers, and only root can start one.")
    with _locked(profile):
        if not ask.version(profile.url):
            if profile is MODERN and _another_has_the_bridge():
                raise CannotError("Another dockerd uses docker0: name its socket in DOCKER_HOST.")
            _take_down(profile)
            try:
                _start(profile)
            except BaseException:
                _take_down(profile)
                raise
        return Running(profile.url, ask.version(profile.url), profile.data)


@contextlib.contextmanager
def running(profile_name: str) -> Iterator[Running]:
    """Run a second engine for the time of the block."""
    profile = PROFILES[profile_name]
    with _locked(profile, "in-use"):
        try:
            yield up(profile)
        finally:
            down(profile)


def restart(profile: Profile, **changes: Any) -> None:
    """End the engine alone, as an upgrade of its package does, and start it again.

    Args:
        changes: Settings that it has from then on.
    """
    wanted = {**settings(profile), **changes}
    if not wanted.get("live-restore"):
        # One that has address pools and remembers a network removes docker0, the main engine's.
        del wanted["default-address-pools"]
    with _locked(profile):
        pid = int((profile.directory / "run/docker.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in until(30, "the engine to end"):
            if pid not in _processes(profile):
                break
        _run_dockerd(profile, wanted)


def _start(profile: Profile) -> None:
    for name in ("data", "exec", "run", "cdi", "hook"):
        (profile.directory / name).mkdir(parents=True, exist_ok=True)
    pretend_gpus(profile)
    if profile.disk:
        run("mount", "-t", "tmpfs", "-o", f"size={profile.disk}", "dlenv", str(profile.data))
    if profile.number:
        network.make(profile)
    _run_dockerd(profile, settings(profile))


def _run_dockerd(profile: Profile, wanted: Mapping[str, Any]) -> None:
    folder = programs.find(profile)
    settings_file = profile.directory / "run/daemon.json"
    settings_file.write_text(json.dumps(wanted, indent=2))
    path = f"{folder}/usr/bin:{folder}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    log = profile.directory / "run/dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(settings_file)],
            executable=shutil.which("dockerd", path=path),
            env={
                **os.environ,
                **profile.environment,
                # A real hook comes before the pretended one.
                "PATH": f"{path}:{profile.directory / 'hook'}",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    for _ in until(60, "the engine to answer"):
        if ask.version(profile.url):
            process.returncode = 0  # It outlives us on purpose: nobody will wait for it.
            return
        if process.poll() is not None:
            complaints = re.findall(
                r"^failed to start.*|^unable to.*", log.read_text(), re.MULTILINE
            )
            reason = "".join(complaints[-1:]) or "see `dockerd`'s requirements"
            raise CannotError(f"A Docker engine cannot run here ({reason}).")


def down(profile: Profile) -> bool:
    """End an engine and remove what it made, but the main one's data; tell whether it ran."""
    if not profile.directory.is_dir():
        return False
    with _locked(profile):
        ran = bool(_processes(profile))
        _take_down(profile)
        return ran


def _take_down(profile: Profile) -> None:
    """Also after an engine that was killed, or started only half, or not at all."""
    if not profile.directory.is_dir():
        return
    started = bool(_processes(profile))
    bridges = [profile.bridge]
    if started and ask.version(profile.url):
        for container in ask.get(profile.socket, "/containers/json?all=true"):
            target = f"/containers/{container['Id']}?force=true&v=true"
            ask.request(profile.socket, "DELETE", target)
        bridges += [f"br-{each['Id'][:12]}" for each in ask.get(profile.socket, "/networks")]
    _end_processes(profile)
    for mount in _mounts_below(profile.directory):
        run("umount", mount)
    # Of the main engine nothing may be ours but its data: then another one has the bridge.
    if profile.number or started:
        network.remove(profile, bridges)
        profile.socket.unlink(missing_ok=True)
    if profile.number:
        shutil.rmtree(profile.directory)
    else:
        for name in ("exec", "run"):
            shutil.rmtree(profile.directory / name, ignore_errors=True)


def _mounts_below(directory: Path) -> list[str]:
    """Return the mount points below a directory, the innermost first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(f"{directory}/")), reverse=True)


def _processes(profile: Profile) -> list[int]:
    """Return the engine's processes: those of its programs that were told its directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                program, _, arguments = (entry / "cmdline").read_bytes().decode().partition("\0")
                ours = f"{profile.directory}/" in arguments
                if ours and Path(program).name in _PROGRAMS:
                    found.append(int(entry.name))
    return found


def _another_has_the_bridge() -> bool:
    """Tell whether a dockerd that is not ours runs in this network namespace."""
    ours = {pid for profile in PROFILES.values() for pid in _processes(profile)}
    here = Path("/proc/self/ns/net").readlink()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in ours:
            with contextlib.suppress(OSError):
                is_dockerd = (entry / "comm").read_text().strip() == "dockerd"
                if is_dockerd and (entry / "ns/net").readlink() == here:
                    return True
    return False


def _end_processes(profile: Profile) -> None:
    """Ask dockerd, which ends the others; force whatever is left."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((profile.directory / "run/docker.pid").read_text())
        if pid in _processes(profile):
            os.kill(pid, signal.SIGTERM)
            for _ in until(30, "the engine to end"):
                if pid not in _processes(profile):
                    break
    for pid in _processes(profile):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for _ in until(10, "the engine's processes to end"):
        if not _processes(profile):
            break


@contextlib.contextmanager
def _locked(profile: Profile, for_what: str = "change") -> Iterator[None]:
    """Let one process at a time start or stop an engine, or use a second one."""
    ROOT.mkdir(parents=True, exist_ok=True)
    with (ROOT / f"{profile.name}.{for_what}.lock").open("w") as file:
        for _ in until(150, f"another process to be done with the {profile.name} engine"):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        yield


def main(arguments: list[str]) -> int:
    """Run ``get | up [profile] | down [profile] | status``; 3 means that none can be had here."""
    command, name = (*arguments, "modern")[:2] if arguments else ("", "")
    if command not in ("get", "up", "down", "status") or name not in PROFILES:
        print(f"python -m rig.engine get|up|down|status [{'|'.join(PROFILES)}]", file=sys.stderr)
        return 2
    profile = PROFILES[name]
    try:
        if command == "get":
            programs.get(profile.release)
        elif command == "up":
            _up(profile)
        elif command == "down":
            ended = down(profile)
            print(f"Docker at {profile.url} was {'stopped' if ended else 'not started by us'}.")
        else:
            for each in PROFILES.values():
                print(f"{each.name:8} {ask.version(each.url) or 'down':16} {each.url}")
    except CannotError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def _up(profile: Profile) -> None:
    if profile is MODERN:
        if url := ask.answering_url():
            print(f"Docker {ask.version(url)} answers at {url}.")
            return
        if url := os.environ.get("DOCKER_HOST"):
            raise CannotError(f"No engine answers at DOCKER_HOST={url}.")
    engine = up(profile)
    target = "engine-down" if profile is MODERN else f"engine-down PROFILE={profile.name}"
    print(f"Started Docker {engine.version} at {engine.url}; `make {target}` stops it.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
