"""Everything that jupyter_dlenv raises on purpose.

Each class has a stable ``code`` for programs, one sentence that says what
failed (``str(error)``) and one that says what to try (``hint``).  What the
engine itself said is kept in ``detail``, word for word.

::

    DlenvError
    ├── InternalError               internal-error
    ├── InvalidSpecError            invalid-spec
    │   ├── InvalidNameError        invalid-name
    │   ├── InvalidSpecFileError    invalid-spec-file
    │   └── LockOutdatedError       lock-outdated
    ├── NotAllowedError             not-allowed
    ├── NameTakenError              name-taken
    ├── EnvironmentNotFoundError    environment-not-found
    ├── EnvironmentNotRunningError  environment-not-running
    ├── LaunchCancelledError        launch-cancelled
    ├── PullCancelledError          pull-cancelled
    ├── SaveCancelledError          save-cancelled
    ├── JobNotFoundError            job-not-found
    ├── KernelExitUnknownError      kernel-exit-unknown
    ├── NoFreeGpuError              no-free-gpu
    │   └── GpusTakenError          gpus-taken
    ├── SshUnavailableError         ssh-unavailable
    ├── SshConfigError              ssh-config
    ├── LocalPortTakenError         local-port-taken
    ├── ForwardNotFoundError        forward-not-found
    ├── NoKeeperError               no-keeper
    ├── EngineError                 engine-error
    │   ├── EngineUnreachableError  engine-unreachable
    │   ├── EnginePermissionError   engine-permission
    │   ├── EngineTooOldError       engine-too-old
    │   ├── UnknownEngineError      unknown-engine
    │   │   └── EngineNotOfferedError engine-not-offered
    │   ├── EngineBusyError         engine-busy
    │   ├── EngineTimeoutError      engine-timeout
    │   ├── CapabilityMissingError  capability-missing
    │   ├── ContainerNotFoundError  container-not-found
    │   ├── ContainerNameTakenError container-name-taken
    │   ├── DiskFullError           disk-full
    │   ├── PortTakenError          port-taken
    │   ├── MountMissingError       mount-missing
    │   ├── GPUUnavailableError     gpu-unavailable
    │   ├── GpuLostError            gpu-lost
    │   ├── GpuMismatchError        gpu-mismatch
    │   └── UlimitRefusedError      ulimit-refused
    ├── ImageError                  image-error
    │   ├── ImageNotFoundError      image-not-found
    │   ├── ImageExistsError        image-exists
    │   ├── RegistryRefusedError    registry-refused
    │   ├── RegistryUnreachableError registry-unreachable
    │   ├── ImageUnsupportedError   image-unsupported
    │   ├── ImageUnsuitableError    image-unsuitable
    │   └── BuildFailedError        build-failed
    └── AgentError                  agent-error
        ├── AgentUnreachableError   agent-unreachable
        ├── EnvironmentDiedError    environment-died
        ├── TargetRefusedError      target-refused
        ├── KernelStartError        kernel-start
        ├── KernelGoneError         kernel-gone
        ├── CellFailedError         cell-failed
        └── NotCarriedError         not-carried
"""

from __future__ import annotations

import re
from typing import ClassVar


class DlenvError(Exception):
    """Something failed that a user can cause or meet."""

    code: ClassVar[str] = "dlenv-error"
    default_hint: ClassVar[str] = "What is known of the cause is below."

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.default_hint
        self.detail = detail

    def to_json(self) -> dict[str, str]:
        """Return the error as every door shows it."""
        return {
            "code": self.code,
            "message": str(self),
            "hint": self.hint,
            "detail": self.detail,
        }


class InternalError(DlenvError):
    """Something went wrong that nobody thought of; the log has the traceback."""

    code = "internal-error"
    default_hint = "See the log of the Jupyter server, and please report it."


class InvalidSpecError(DlenvError):
    """A value in the request cannot be used; nothing has happened yet."""

    code = "invalid-spec"
    default_hint = "Correct the value and try again."


class InvalidNameError(InvalidSpecError):
    """The name of an environment has characters that engines refuse."""

    code = "invalid-name"
    default_hint = (
        "Use 1 to 40 lower-case letters, digits, '-' or '_', beginning with a letter or a digit."
    )


class InvalidSpecFileError(InvalidSpecError):
    """A dlenv.toml or dlenv.lock cannot be used."""

    code = "invalid-spec-file"
    default_hint = "Correct the file; `jupyter dlenv init` writes one with comments."


class LockOutdatedError(InvalidSpecError):
    """The dlenv.lock pins another image than the dlenv.toml or the engine has."""

    code = "lock-outdated"
    default_hint = "If that is meant, pin anew: `jupyter dlenv launch --update-lock`."


class NotAllowedError(DlenvError):
    """The administrator's policy refuses the request."""

    code = "not-allowed"
    default_hint = "Ask the administrator of this server to allow it."


class NameTakenError(DlenvError):
    """An environment of that name exists or is being launched."""

    code = "name-taken"
    default_hint = "Choose another name, or remove the environment that has it."


class EnvironmentNotFoundError(DlenvError):
    """There is no environment of that name."""

    code = "environment-not-found"
    default_hint = "See `jupyter dlenv list`."


class EnvironmentNotRunningError(DlenvError):
    """The environment is stopped, and the request needs it running."""

    code = "environment-not-running"
    default_hint = "Start it: `jupyter dlenv start NAME`."


class LaunchCancelledError(DlenvError):
    """The user cancelled the launch."""

    code = "launch-cancelled"
    default_hint = "Everything that the launch had made was removed."


class PullCancelledError(DlenvError):
    """The user cancelled the pull of an image."""

    code = "pull-cancelled"
    default_hint = "Layers that were complete stay on the engine, and need not be fetched again."


class SaveCancelledError(DlenvError):
    """The user cancelled the saving of an environment."""

    code = "save-cancelled"
    default_hint = "If the image was being pushed already, it is on the engine."


class JobNotFoundError(DlenvError):
    """There is no job of that id on this server."""

    code = "job-not-found"
    default_hint = "Jobs are forgotten an hour after they ended."


class EngineError(DlenvError):
    """The engine refused or failed, in a way that has no class of its own."""

    code = "engine-error"


class EngineUnreachableError(EngineError):
    """Nothing answers at the engine's address."""

    code = "engine-unreachable"
    default_hint = (
        "Start Docker (`sudo systemctl start docker`), or name another engine with --engine."
    )


class EnginePermissionError(EngineError):
    """The engine's socket may not be used by this user."""

    code = "engine-permission"
    default_hint = (
        "Join the docker group (`sudo usermod -aG docker $USER`, then log in again), "
        "or use a rootless engine."
    )


class EngineTooOldError(EngineError):
    """The engine speaks an API older than the oldest one supported."""

    code = "engine-too-old"
    default_hint = "Upgrade to Docker 20.10 or newer."


class UnknownEngineError(EngineError):
    """No engine of that name is configured, and it is no engine URL."""

    code = "unknown-engine"
    default_hint = "Use docker, process, or a URL such as unix:///var/run/docker.sock."


class EngineNotOfferedError(UnknownEngineError):
    """A server is to use an engine that it has no name for."""

    code = "engine-not-offered"
    default_hint = "An administrator names engines in c.Configuration.engines."


class EngineBusyError(EngineError):
    """A launch, a pull or a saving is under way on the engine that a server should leave."""

    code = "engine-busy"
    default_hint = "Wait until it has ended, or cancel it."


class EngineTimeoutError(EngineError):
    """The engine did not answer in time."""

    code = "engine-timeout"
    default_hint = "The engine may be overloaded; try again in a minute."


class CapabilityMissingError(EngineError):
    """The engine cannot do what was asked, by its nature."""

    code = "capability-missing"
    default_hint = "Use an engine that can, such as docker."


class ContainerNotFoundError(EngineError):
    """The container is gone."""

    code = "container-not-found"
    default_hint = "See `jupyter dlenv list`."


class ContainerNameTakenError(EngineError):
    """The engine already has a container of that name."""

    code = "container-name-taken"
    default_hint = "Choose another name."


class DiskFullError(EngineError):
    """The engine's disk has no room left."""

    code = "disk-full"
    default_hint = "Free some space (`docker system df`, then `docker system prune`) and try again."


class PortTakenError(EngineError):
    """A host port that should be published is in use."""

    code = "port-taken"
    default_hint = "Publish another host port, or 0 to take any free one."

    def blames(self, port: int) -> bool:
        """Tell whether this port is the one that is taken; never so of 0."""
        # The engine's words have ports inside as well (80/tcp), and addresses.
        said = str(self) if re.search(r"\d", str(self)) else self.detail
        return port > 0 and re.search(rf"(?<!\d){port}(?![\d/])", said) is not None


class MountMissingError(EngineError):
    """The source of a mount does not exist on the engine's host."""

    code = "mount-missing"
    default_hint = "Create the directory first, or correct the path."


class GPUUnavailableError(EngineError):
    """The engine cannot give GPUs to containers."""

    code = "gpu-unavailable"
    default_hint = (
        "Install the NVIDIA Container Toolkit on the engine's host and restart Docker, "
        "or launch with --gpus 0."
    )


class GpuLostError(EngineError):
    """A running environment has lost its right to its GPUs."""

    code = "gpu-lost"
    default_hint = "Re-create it, its home and mounts stay: `jupyter dlenv recreate NAME`."


class GpuMismatchError(EngineError):
    """An environment sees other GPUs than it was given."""

    code = "gpu-mismatch"
    default_hint = (
        "The engine gives other GPUs than it is asked for: `jupyter dlenv doctor` looks at how."
    )


class UlimitRefusedError(EngineError):
    """The engine's host does not permit a ulimit."""

    code = "ulimit-refused"
    default_hint = "Leave the limit out, or raise the hard limit of the engine."


class ImageError(DlenvError):
    """An image cannot be had or used."""

    code = "image-error"


class ImageNotFoundError(ImageError):
    """Neither the engine nor the registry has the image."""

    code = "image-not-found"
    default_hint = "Check the spelling of the image and its tag."


class ImageExistsError(ImageError):
    """The engine has an image of that name already."""

    code = "image-exists"
    default_hint = "Choose another tag, or let it be replaced with --yes."


class RegistryRefusedError(ImageError):
    """The registry wants a login, or refuses the one that it got."""

    code = "registry-refused"
    default_hint = "Log in with `docker login REGISTRY`; for NGC the user is $oauthtoken."


class RegistryUnreachableError(ImageError):
    """The engine cannot reach the registry."""

    code = "registry-unreachable"
    default_hint = (
        "Check the network and the proxy of the engine, "
        "or use an image that is on the engine already (`jupyter dlenv images`)."
    )


class ImageUnsupportedError(ImageError):
    """No kernel can run in the image, and nothing can be added to it."""

    code = "image-unsupported"
    default_hint = (
        "Build an image with Python 3.8 or newer in it: `jupyter dlenv launch --build DIR`."
    )


class ImageUnsuitableError(ImageError):
    """The image will not work on this machine, or does not fit on its disk."""

    code = "image-unsuitable"
    default_hint = (
        "Choose another tag (`jupyter dlenv images --tags IMAGE`), or pull it with --yes."
    )


class BuildFailedError(ImageError):
    """A step of an image build failed."""

    code = "build-failed"
    default_hint = "The output of the step that failed is below."


class AgentError(DlenvError):
    """The program inside the environment reported a failure."""

    code = "agent-error"
    default_hint = "See `jupyter dlenv logs NAME`."


class AgentUnreachableError(AgentError):
    """The environment runs, but the program inside it does not answer."""

    code = "agent-unreachable"
    default_hint = "Restart the environment: `jupyter dlenv restart NAME`."


class EnvironmentDiedError(AgentError):
    """The environment ended before its kernel could be reached."""

    code = "environment-died"
    default_hint = "The last lines of its log are below."


class TargetRefusedError(AgentError):
    """Nothing answers inside the environment on the port, socket or program asked for."""

    code = "target-refused"
    default_hint = "Start the service first; `jupyter dlenv ports NAME` shows what listens."


class KernelStartError(AgentError):
    """A kernel process ended, or was silent, before it answered."""

    code = "kernel-start"
    default_hint = "The last lines of the kernel's log are below."


class KernelGoneError(AgentError):
    """The kernel that a script or a `%%dlenv` cell spoke to has ended."""

    code = "kernel-gone"
    default_hint = "Run the cell again: that starts a new kernel, without the old variables."


class CellFailedError(AgentError):
    """Code that was run in an environment raised an error.

    Attributes:
        ename: The name of the error's class.
        evalue: What it says.
        traceback: The lines of its traceback, coloured for a terminal.
    """

    code = "cell-failed"
    default_hint = "The traceback in the environment is below."

    def __init__(self, ename: str, evalue: str = "", traceback: tuple[str, ...] = ()) -> None:
        said = f"{ename}: {evalue}" if evalue else ename
        super().__init__(said, detail="\n".join(traceback))
        self.ename, self.evalue, self.traceback = ename, evalue, traceback


class NotCarriedError(AgentError):
    """A variable cannot be taken into an environment, or out of one."""

    code = "not-carried"
    default_hint = (
        "Numbers, texts, lists, dictionaries, NumPy arrays and pandas tables can. "
        "With --pickle anything can, if you trust what runs in the environment."
    )


class KernelExitUnknownError(DlenvError):
    """A kernel has not ended by itself, or so long ago that it is forgotten."""

    code = "kernel-exit-unknown"
    default_hint = "Only ends that nobody asked for are remembered, of kernels in environments."


class NoFreeGpuError(DlenvError):
    """Fewer GPUs are free than are wanted."""

    code = "no-free-gpu"
    default_hint = (
        "Ask for fewer, wait in line with --wait-for-gpus, "
        "or use GPUs together with others: --share."
    )


class GpusTakenError(NoFreeGpuError):
    """Others use the GPUs that a stopped environment had."""

    code = "gpus-taken"
    default_hint = (
        "Wait for them, or re-create it on others, its home and mounts stay: "
        "`jupyter dlenv recreate NAME`."
    )


class SshUnavailableError(DlenvError):
    """There is no way into the environment by SSH."""

    code = "ssh-unavailable"
    default_hint = "Use `jupyter dlenv shell NAME`, or an image with openssh-server in it."


class SshConfigError(DlenvError):
    """The user's SSH configuration cannot be changed."""

    code = "ssh-config"
    default_hint = "`jupyter dlenv ssh-config show` prints what to add by hand."


class LocalPortTakenError(DlenvError):
    """A port of this machine that a forward should listen on is in use."""

    code = "local-port-taken"
    default_hint = "Choose another local port, or leave it out to take the next free one."


class ForwardNotFoundError(DlenvError):
    """There is no forward on that local port."""

    code = "forward-not-found"
    default_hint = "See `jupyter dlenv ports NAME`."


class NoKeeperError(DlenvError):
    """No Jupyter server of this user keeps forwards, or it does not answer."""

    code = "no-keeper"
    default_hint = "Start a Jupyter server with jupyter_dlenv, or forward with --foreground."
