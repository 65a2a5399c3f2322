"""Everything that jupyter_dlenv raises on purpose.

Each class has a stable ``code`` for programs, one sentence that says what
failed (``str(error)``) and one that says what to try (``hint``).  What the
engine itself said is kept in ``detail``, word for word.

::

    DlenvError
    ├── InvalidSpecError            invalid-spec
    │   └── InvalidNameError        invalid-name
    ├── NotAllowedError             not-allowed
    ├── NameTakenError              name-taken
    ├── EnvironmentNotFoundError    environment-not-found
    ├── EnvironmentNotRunningError  environment-not-running
    ├── LaunchCancelledError        launch-cancelled
    ├── JobNotFoundError            job-not-found
    ├── KernelExitUnknownError      kernel-exit-unknown
    ├── NoFreeGpuError              no-free-gpu
    ├── EngineError                 engine-error
    │   ├── EngineUnreachableError  engine-unreachable
    │   ├── EnginePermissionError   engine-permission
    │   ├── EngineTooOldError       engine-too-old
    │   ├── UnknownEngineError      unknown-engine
    │   ├── EngineTimeoutError      engine-timeout
    │   ├── CapabilityMissingError  capability-missing
    │   ├── ContainerNotFoundError  container-not-found
    │   ├── ContainerNameTakenError container-name-taken
    │   ├── DiskFullError           disk-full
    │   ├── PortTakenError          port-taken
    │   ├── MountMissingError       mount-missing
    │   ├── GPUUnavailableError     gpu-unavailable
    │   └── UlimitRefusedError      ulimit-refused
    ├── ImageError                  image-error
    │   ├── ImageNotFoundError      image-not-found
    │   ├── RegistryRefusedError    registry-refused
    │   ├── RegistryUnreachableError registry-unreachable
    │   ├── ImageUnsupportedError   image-unsupported
    │   └── BuildFailedError        build-failed
    └── AgentError                  agent-error
        ├── AgentUnreachableError   agent-unreachable
        ├── EnvironmentDiedError    environment-died
        └── KernelStartError        kernel-start
"""

from __future__ import annotations

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


class KernelStartError(AgentError):
    """A kernel process ended, or was silent, before it answered."""

    code = "kernel-start"
    default_hint = "The last lines of the kernel's log are below."


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
