"""From what an engine reports to an environment, trusting nothing that labels say."""

from __future__ import annotations

import logging
from pathlib import Path

from .access.ports import SSH
from .engines.base import ContainerState
from .errors import InvalidSpecError
from .gpus.holders import HOLD
from .gpus.line import TICKET, is_left_behind
from .gpus.mutex import LOCK
from .labels import LAUNCHER, ROLE, EnvironmentLabels
from .launcher import is_alive
from .models import Environment, Status
from .plan import container_name, is_launching
from .runtime_dirs import RuntimeDirs

_SHORT_LIVED = frozenset({"probe", LOCK, HOLD})
_log = logging.getLogger(__name__)


def is_abandoned(state: ContainerState) -> bool:
    """Tell whether a container belongs to a launch whose process is gone."""
    if state.labels.get(ROLE) == TICKET:
        return is_left_behind(state)
    unfinished = is_launching(state.name) or state.labels.get(ROLE) in _SHORT_LIVED
    return unfinished and not is_alive(state.labels.get(LAUNCHER, ""), created=state.created)


def observe(
    state: ContainerState, *, owner: str, engine: str, runtime_dirs: RuntimeDirs
) -> Environment | None:
    """Return the environment that a container is, or ``None`` if it only pretends to be one.

    Whoever can use the engine can write labels.  They must not lead us to sockets or names
    of a stranger, so everything in them that we can work out ourselves has to agree.
    """
    try:
        labels = EnvironmentLabels.from_labels(state.labels)
    except InvalidSpecError:
        _log.warning("Ignoring container %s: its labels are not ours", state.name)
        return None
    launching = is_launching(state.name)
    if (
        labels.owner != owner
        or not runtime_dirs.trusts(Path(labels.runtime_dir), labels.id)
        or state.name != container_name(owner, labels.spec.name, launching=launching)
    ):
        _log.warning("Ignoring container %s: its labels contradict it", state.name)
        return None
    if launching:
        status = Status.LAUNCHING
    else:
        status = Status.RUNNING if state.state == "running" else Status.STOPPED
    return Environment(
        id=labels.id,
        spec=labels.spec,
        status=status,
        container_id=state.id,
        image_id=state.image_id,
        owner=labels.owner,
        engine=engine,
        gpu_uuids=labels.gpus,
        ports=state.ports,
        granted=state.granted,
        created=state.created,
        started=state.started,
        exit_code=state.exit_code,
        out_of_memory=state.out_of_memory,
        runtime_dir=labels.runtime_dir,
        home=labels.home,
        python=labels.python,
        streamed=labels.streamed,
        ssh_port=next(
            (p.host_port for p in state.ports if p.container_port == SSH), labels.ssh_port
        ),
    )
