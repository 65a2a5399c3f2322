"""Facts of environments: what they see, what they said, what their images want."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from ..engines.base import ContainerState, Engine, ImageFacts, SupportsImages
from ..errors import DlenvError, InvalidSpecError
from ..gpus.sight import look_inside
from ..images.fit import built_for
from ..labels import OWNER, ROLE, EnvironmentLabels
from .facts import EnvironmentReport

_MOST = 16
_LOOK_SECONDS = 8.0
_LOG_LINES = 60
_LONGEST_LOG = 32 * 1024


async def environment_reports(engine: Engine, owner: str) -> tuple[EnvironmentReport, ...]:
    """Look at the owner's environments, those that run from the inside too."""
    states = await engine.list({OWNER: owner, ROLE: "environment"})
    facts = await engine.probe()
    newest = sorted(states, key=lambda s: s.created, reverse=True)[:_MOST]
    reports = await asyncio.gather(*(_report(engine, s, facts.isolated) for s in newest))
    return tuple(r for r in reports if r is not None)


async def _report(
    engine: Engine, state: ContainerState, isolated: bool
) -> EnvironmentReport | None:
    try:
        labels = EnvironmentLabels.from_labels(state.labels)
    except InvalidSpecError:
        return None
    spec = labels.spec
    report = EnvironmentReport(
        name=spec.name,
        image=spec.image,
        running=state.state == "running",
        gpus=len(labels.gpus),
        # Plain processes share the memory of this machine.
        shm_size=spec.shm_size if isolated else 0,
        error=state.error,
    )
    report = replace(report, log=await _last_words(engine, state.id))
    if isinstance(engine, SupportsImages) and state.image_id:
        # An image can be removed while the container lives on.
        with suppress(DlenvError):
            report = _with_image(report, await engine.inspect_image(state.image_id))
    return await _with_look(engine, state.id, report) if report.running and isolated else report


def _with_image(report: EnvironmentReport, image: ImageFacts) -> EnvironmentReport:
    env = image.env
    return replace(
        report,
        image_architecture=image.architecture,
        image_driver=env.get("CUDA_DRIVER_VERSION", ""),
        image_requires=env.get("NVIDIA_REQUIRE_CUDA", ""),
        image_capabilities=built_for(env),
    )


async def _last_words(engine: Engine, container_id: str) -> str:
    text = bytearray()

    async def read() -> None:
        async for chunk in engine.logs(container_id, tail=_LOG_LINES):
            text.extend(chunk)

    with suppress(DlenvError, asyncio.TimeoutError):
        await asyncio.wait_for(read(), _LOOK_SECONDS)
    return bytes(text[-_LONGEST_LOG:]).decode(errors="replace")


async def _with_look(
    engine: Engine, container_id: str, report: EnvironmentReport
) -> EnvironmentReport:
    """Look from the inside, if the image has a shell."""
    sight = await look_inside(engine, container_id)
    if sight is None:
        return report
    return replace(report, sees=sight.nodes, smi=sight.failure)
