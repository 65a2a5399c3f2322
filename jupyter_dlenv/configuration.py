"""What an administrator or user configures, and how a door opens the environments with it."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from jupyter_core import paths
from jupyter_core.paths import jupyter_config_path, jupyter_data_dir, jupyter_runtime_dir
from traitlets import Bool, Dict, Enum, Float, Integer, List, Tuple, Unicode, default
from traitlets.config import Config, Configurable
from traitlets.config.loader import ConfigFileNotFound, JSONFileConfigLoader, PyFileConfigLoader

from .access.public_keys import public_key
from .access.ssh import SshSettings
from .engines import open_engine
from .environments import Environments
from .images.catalogue import Catalogue
from .kernels.warmth import Warmth
from .models import EnvironmentSpec, Mount
from .plan import Caller
from .policy import Policy

#: What nobody can set for themselves where an administrator has.
_RULES = frozenset({*Policy.__dataclass_fields__, "owner"})
_CONFIG_NAME = "jupyter_dlenv_config"
#: A unix socket's path has at most 107 bytes; ours adds ``/<id>/s/k-<8>-<1>``.
_LONGEST_RUNTIME_DIR = 107 - len("/0123456789/s/k-01234567-1")
#: Directories that hold a system or everybody's files: never mounted by default.
_TOO_WIDE = frozenset({"/", "/home", "/mnt", "/opt", "/srv", "/tmp", "/var"})  # noqa: S108


class Configuration(Configurable):
    """``c.Configuration.…`` in ``jupyter_dlenv_config.py``, the same for every door."""

    engine = Unicode(
        help="Engine that is used when none is named: docker, process, a name from "
        "`engines`, or a URL. The environment variable DLENV_ENGINE is the default."
    ).tag(config=True)
    engines = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Names of further engines and their URLs (unix://, tcp://, ssh://).",
    ).tag(config=True)
    owner = Unicode(
        help="Whose environments these are. Environments of other owners on the same engine "
        "are not shown. By default JupyterHub's user, or the login name."
    ).tag(config=True)
    data_dir = Unicode(
        help="Where kernelspecs and what is known of images are kept; "
        "by default `dlenv` in Jupyter's data directory."
    ).tag(config=True)
    runtime_dir = Unicode(
        help="Where the sockets of running environments are, at most 81 bytes long; "
        "by default `dlenv` in Jupyter's runtime directory."
    ).tag(config=True)
    catalogue_registry = Unicode(
        help="Registry that the recommended images come from: the host of a mirror of nvcr.io."
    ).tag(config=True)
    allowed_engines = List(
        Unicode(),
        ["*"],
        help="Shell patterns over names and URLs of engines that may be asked, as they are typed.",
    ).tag(config=True)
    allowed_images = List(
        Unicode(),
        ["*"],
        help="Shell patterns over image references that may be launched. "
        "Without `*`, images may not be built.",
    ).tag(config=True)
    allowed_mounts = List(
        Unicode(), ["*"], help="Shell patterns over host paths that may be mounted."
    ).tag(config=True)
    allowed_users = List(
        Unicode(), ["*"], help="Of caller, root, image, and shell patterns over UID:GID."
    ).tag(config=True)
    allowed_bind_addresses = List(
        Unicode(), ["*"], help="Shell patterns over host addresses that ports may be published on."
    ).tag(config=True)
    allowed_host_ports = Tuple(
        Integer(), Integer(), default_value=(1024, 65535), help="Lowest and highest host port."
    ).tag(config=True)
    allowed_gpus = List(
        Unicode(),
        ["all"],
        help="GPUs that may be given to environments: indices, UUIDs or beginnings of them.",
    ).tag(config=True)
    max_gpus = Integer(-1, help="GPUs that one owner may hold at once; -1 is no limit.").tag(
        config=True
    )
    warm_kernels = Integer(
        1,
        min=0,
        max=16,
        help="Idle kernels that each environment keeps ready; 0 keeps none. An environment's "
        "variable DLENV_WARM_KERNELS overrides it.",
    ).tag(config=True)
    preload = Dict(
        key_trait=Unicode(),
        value_trait=List(Unicode()),
        default_value={
            "*/pytorch[:@]*": ["torch"],
            "*/tensorflow[:@]*": ["tensorflow"],
            "*/jax[:@]*": ["jax"],
        },
        help="Shell patterns over image references, and the modules that an idle kernel imports "
        "ahead there if 4 GB of memory are left. An environment's variable DLENV_PRELOAD "
        "overrides it; empty imports nothing.",
    ).tag(config=True)
    max_environments = Integer(-1, help="Environments of one owner; -1 is no limit.").tag(
        config=True
    )

    transport = Enum(
        ("auto", "stream"),
        "auto",
        help="How kernels of new environments are reached. auto: through sockets that the engine "
        "shares with this machine, and where it shares none (Docker Desktop, another machine) "
        "over a stream of the engine. stream: always so.",
    ).tag(config=True)
    max_idle_minutes = Float(
        -1.0,
        help="Every environment stops after so many minutes without use, or earlier if it is to; "
        "-1 is no limit.",
    ).tag(config=True)
    idle_stop_minutes = Float(
        0.0,
        min=0.0,
        help="After how many minutes without use an environment stops whose launch does not say "
        "so; 0 is never.",
    ).tag(config=True)

    ssh = Bool(
        True, help="Give new environments an SSH server that lets in keys only, and its user only."
    ).tag(config=True)
    ssh_port = Integer(
        7603,
        help="The first port on 127.0.0.1 that leads to the SSH server of an environment; the "
        "next free one for each one after. 0 publishes none: `jupyter dlenv ssh` then goes "
        "through the engine.",
    ).tag(config=True)
    ssh_own_keys = Bool(
        True,
        help="Let in the owner's keys: the public ones in ~/.ssh, and the lines of "
        "~/.ssh/authorized_keys that have no options.",
    ).tag(config=True)
    ssh_authorized_keys = List(
        Unicode(), help="Further public keys that are let into all environments of the owner."
    ).tag(config=True)

    @classmethod
    def load(cls, parent: Any = None, config: Config | None = None) -> Configuration:
        """Read ``jupyter_dlenv_config.{json,py}`` along Jupyter's config path.

        Args:
            parent: A configurable whose own configuration comes on top (a server, a kernel
                manager).
            config: Configuration that comes on top of everything.
        """
        # Later files win: the user's over the environment's over the system's.
        merged = _read(reversed(jupyter_config_path()))
        merged.merge(getattr(parent, "config", None) or Config())
        merged.merge(config or Config())
        # But for the rules, which whoever administers the machine has made for its users.
        system = _read([*reversed(paths.ENV_CONFIG_PATH), *reversed(paths.SYSTEM_CONFIG_PATH)])
        for name in _RULES & system.Configuration.keys():
            merged.Configuration[name] = system.Configuration[name]
        return cls(config=merged)

    @default("engine")
    def _default_engine(self) -> str:
        return os.environ.get("DLENV_ENGINE", "docker")

    @default("owner")
    def _default_owner(self) -> str:
        return os.environ.get("JUPYTERHUB_USER") or Caller.current().name

    @default("data_dir")
    def _default_data_dir(self) -> str:
        return str(Path(jupyter_data_dir()) / "dlenv")

    @default("runtime_dir")
    def _default_runtime_dir(self) -> str:
        choices = [
            Path(jupyter_runtime_dir()),
            Path(os.environ.get("XDG_RUNTIME_DIR") or jupyter_runtime_dir()),
        ]
        for choice in choices:
            if len(os.fsencode(choice / "dlenv")) <= _LONGEST_RUNTIME_DIR:
                return str(choice / "dlenv")
        return str(Path(tempfile.gettempdir()) / f"dlenv-{os.getuid()}")

    @property
    def kernelspecs_dir(self) -> str:
        """Return the directory that a kernel spec manager must look into."""
        return str(Path(self.data_dir) / "kernels")

    @property
    def policy(self) -> Policy:
        return Policy(
            allowed_engines=tuple(self.allowed_engines),
            allowed_images=tuple(self.allowed_images),
            allowed_mounts=tuple(self.allowed_mounts),
            allowed_users=tuple(self.allowed_users),
            allowed_bind_addresses=tuple(self.allowed_bind_addresses),
            allowed_host_ports=self.allowed_host_ports,
            allowed_gpus=tuple(self.allowed_gpus),
            max_gpus=self.max_gpus,
            max_environments=self.max_environments,
            max_idle_minutes=self.max_idle_minutes,
        )

    @property
    def ssh_settings(self) -> SshSettings | None:
        """Return how environments are reached by SSH; ``None`` if they are not.

        Raises:
            InvalidSpecError: What should be a public key is none.
        """
        if not self.ssh:
            return None
        binds = [p for p in self.allowed_bind_addresses if fnmatchcase("127.0.0.1", p)]
        return SshSettings(
            first_port=self.ssh_port if binds else 0,
            allowed_ports=self.allowed_host_ports,
            own_keys=Path.home() / ".ssh" if self.ssh_own_keys else None,
            keys=tuple(public_key(key) for key in self.ssh_authorized_keys),
        )

    def open(self, engine: str = "") -> Environments:
        """Return the environments on an engine; whoever asks closes them with ``aclose``.

        Nothing is asked of the engine yet.

        Args:
            engine: A name or URL; empty is the configured one.

        Raises:
            UnknownEngineError
            NotAllowedError: By the rule ``allowed_engines``.
        """
        wanted = engine or self.engine
        self.policy.check_engine(wanted)
        data_dir = Path(self.data_dir)
        return Environments(
            open_engine(self.engines.get(wanted, wanted), data_dir=data_dir, name=wanted),
            owner=_safe_owner(self.owner),
            caller=Caller.current(),
            policy=self.policy,
            data_dir=data_dir,
            runtime_dir=Path(self.runtime_dir),
            catalogue=Catalogue.load(registry=self.catalogue_registry),
            ssh=self.ssh_settings,
            warmth=Warmth(
                kernels=self.warm_kernels,
                preload={pattern: tuple(modules) for pattern, modules in self.preload.items()},
            ),
            idle_stop=self.idle_stop_minutes,
            streamed=self.transport == "stream",
        )

    def with_default_mount(self, spec: EnvironmentSpec, directory: str) -> EnvironmentSpec:
        """Return the spec with a directory of the caller seen at the same path inside.

        Kernels start there.  Nothing changes when a mount covers the path already, or when
        it is a whole system (``/``) that nobody means to hand over.
        """
        path = os.path.realpath(directory)
        covered = any(_is_below(path, m.target) for m in spec.mounts)
        if covered or path in _TOO_WIDE:
            return spec
        mount = Mount(source=path, target=path)
        return replace(spec, mounts=(*spec.mounts, mount), workdir=spec.workdir or path)


def _read(directories: Iterable[str]) -> Config:
    merged = Config()
    for directory in directories:
        for loader, suffix in ((JSONFileConfigLoader, "json"), (PyFileConfigLoader, "py")):
            try:
                merged.merge(loader(f"{_CONFIG_NAME}.{suffix}", directory).load_config())
            except ConfigFileNotFound:
                continue
    return merged


def _is_below(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent.rstrip("/") + "/")


def _safe_owner(owner: str) -> str:
    """Return the owner in characters that engines take, still unique."""
    safe = re.sub(r"[^a-z0-9_-]", "-", owner.lower()).lstrip("-_")[:32] or "user"
    if safe == owner:
        return safe
    return f"{safe[:24]}-{hashlib.sha256(owner.encode()).hexdigest()[:7]}"
