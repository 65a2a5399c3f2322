"""Launches that race for GPUs: is one given twice, is one lost, is everybody else told why?

``python -m benchmarks.lease_race --engine docker --rounds 200`` from ``tests/``.  Ten processes,
each of another owner, launch at the same moment; eight GPUs are pretended, of which strangers
use some.  A referee looks at the engine itself, and not through the code that it judges.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from rig import ask, engine
from rig.gpu_host import hook_directory, let_the_engine_have_gpus
from rig.images import Images
from rig.nvml import MIB, FakeDriver, FakeGpu, FakeNvml, FakeProcess, build, gpu_uuid

GPUS = 8
RACERS = 10
LABEL_GPUS, LABEL_ROLE, LABEL_OWNER = (
    f"org.jupyter-dlenv.{name}" for name in ("gpus", "role", "owner")
)
_ANSWER_SECONDS = 300


@dataclass
class Result:
    """What the referee saw."""

    rounds: int = 0
    given: int = 0
    refused: int = 0
    #: GPUs that two had, or that a stranger had already.
    doubles: list[str] = field(default_factory=list)
    #: Refusals although enough were free when all had their answer, and GPUs that nobody
    #: could have any more.
    lost: list[str] = field(default_factory=list)
    #: Refusals that do not say why for each GPU.
    unexplained: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.doubles or self.lost or self.unexplained or self.failures)

    def __str__(self) -> str:
        longest = max(self.seconds)
        told = self.refused - len(self.unexplained)
        lines = [
            f"{self.rounds} rounds of {RACERS} launches",
            f"  {self.given} GPUs given, {self.refused} launches refused, {told} of them told why",
            f"  {len(self.doubles)} doubles, {len(self.lost)} lost, {len(self.failures)} failures",
            f"  median of a round {statistics.median(self.seconds):.2f} s, longest {longest:.2f} s",
        ]
        for what in ("doubles", "lost", "unexplained", "failures"):
            lines += [f"  {what}: {each}" for each in getattr(self, what)[:5]]
        return "\n".join(lines)


class Racer:
    """A process that launches when it is told to."""

    def __init__(self, number: int, environ: dict[str, str], arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.lease_race", "racer", str(number), *arguments],
            cwd=Path(__file__).parents[1],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, **command: Any) -> None:
        print(json.dumps(command), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": "gone", "text": "the process ended"}

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)


def race(kind: str, rounds: int, *, url: str = "", seed: int = 0) -> Result:
    """Let ten processes race, round after round.

    Args:
        kind: ``docker`` or ``process``.
        url: Of the Docker engine.
    """
    chance = random.Random(seed)
    run = f"race-{uuid.uuid4().hex[:6]}"
    result = Result()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dl-", dir="/tmp")))
        fake = FakeNvml(build(scratch), scratch)
        field_ = DockerField(url, run) if kind == "docker" else ProcessField(scratch)
        stack.callback(field_.clear)
        racers = [
            Racer(n, fake.environ | field_.environ(), [field_.engine, str(scratch), run])
            for n in range(RACERS)
        ]
        stack.callback(lambda: [racer.end() for racer in racers])
        assert [{"ready": True}] * RACERS == [racer.answer() for racer in racers]
        for number in range(rounds):
            _round(field_, fake, racers, chance, result)
            if number % 20 == 19:
                print(kind, result, file=sys.stderr, flush=True)
    return result


def _round(field_, fake: FakeNvml, racers: list[Racer], chance: random.Random, result: Result):
    by_container = field_.let_strangers_in(chance)
    at_work = set(chance.sample(range(GPUS), 2)) - by_container
    busy = FakeGpu(used=MIB * 900, processes=[FakeProcess(pid=1, memory=MIB * 800)])
    driver = FakeDriver(nvlinks=[(0, 1), (2, 3), (4, 5), (6, 7)])
    for index in at_work:
        driver = driver.with_gpu(index, busy)
    fake.configure(driver)
    taken = {gpu_uuid(index) for index in by_container | at_work}
    wanted = [chance.choice((1, 1, 2, 2, 3)) for _ in racers]
    began = time.monotonic()
    for racer, number in zip(racers, wanted, strict=True):
        racer.tell(launch=number)
    answers = [racer.answer() for racer in racers]
    result.seconds.append(time.monotonic() - began)
    result.rounds += 1
    leases = field_.leases()
    _judge(result, wanted, answers, leases, taken)
    for racer in racers:
        racer.tell(remove=True)
    for answer in [racer.answer() for racer in racers]:
        if "error" in answer:
            result.failures.append(str(answer))
    left = field_.left_behind()
    if left:
        result.lost.append(f"left behind: {left}")


def _judge(result: Result, wanted, answers, leases: list[list[str]], taken: set[str]) -> None:
    counts = Counter(uuid for lease in leases for uuid in lease)
    counts.update(taken)
    result.doubles += [f"{uuid} x{count}" for uuid, count in counts.items() if count > 1]
    won = [answer["uuids"] for answer in answers if "uuids" in answer]
    if sorted(won) != sorted(leases):
        result.failures.append(f"told {won}, on the engine {leases}")
    result.given += sum(map(len, leases))
    free = GPUS - len(counts)
    for number, answer in zip(wanted, answers, strict=True):
        if "uuids" in answer:
            continue
        if answer.get("error") != "no-free-gpu":
            result.failures.append(str(answer))
            continue
        result.refused += 1
        if number <= free:
            result.lost.append(f"{number} wanted, {free} free in the end: {answer['detail']}")
        reasons = answer["detail"].splitlines()
        if len(reasons) != GPUS or not all(": " in reason for reason in reasons):
            result.unexplained.append(str(answer))


class DockerField:
    """A Docker engine with strangers' containers, as its own API shows it."""

    def __init__(self, url: str, run: str) -> None:
        self.engine = url
        self._run = run
        self._client = docker.DockerClient(base_url=url)
        self._image = Images(url).ensure("kernel")
        self._strangers: list[Any] = []

    def environ(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.engine, "PATH": f"{os.environ['PATH']}:{hook_directory()}"}

    def let_strangers_in(self, chance: random.Random) -> set[int]:
        """Start containers of people who know nothing of leases; return the GPUs they use."""
        self._end_strangers()
        kinds = [
            # `docker run --gpus 1` is always the first one.
            ({0}, {"device_requests": [_request(Count=1, Capabilities=[["gpu"]])]}),
            ({3}, {"device_requests": [_request(DeviceIDs=["3"], Capabilities=[["gpu"]])]}),
            (
                {5},
                {"device_requests": [_request(DeviceIDs=[gpu_uuid(5)], Capabilities=[["gpu"]])]},
            ),
        ]
        used: set[int] = set()
        for gpus, arguments in chance.sample(kinds, 2):
            container = self._client.containers.create(
                self._image,
                ["sleep", "1000"],
                network_mode="none",
                labels={"org.jupyter-dlenv.test": self._run},
                **arguments,
            )
            self._strangers.append(container)
            container.start()
            used |= gpus
        return used

    def leases(self) -> list[list[str]]:
        """Return what each environment was really given, and not only what its label says."""
        found = []
        for container in self._ours():
            info = container.attrs
            labels = info["Config"]["Labels"]
            if labels[LABEL_ROLE] != "environment":
                continue
            requests = info["HostConfig"]["DeviceRequests"]
            given = [name.rpartition("=")[2] for r in requests for name in r["DeviceIDs"]]
            assert given == labels[LABEL_GPUS].split(","), info["HostConfig"]
            assert info["State"]["Running"]
            found.append(given)
        return found

    def left_behind(self) -> list[str]:
        return [container.name for container in self._ours()]

    def clear(self) -> None:
        self._end_strangers()
        for container in self._ours():
            container.remove(force=True, v=True)
        for volume in self._client.volumes.list(filters={"label": LABEL_OWNER}):
            if volume.attrs["Labels"][LABEL_OWNER].startswith(self._run):
                volume.remove(force=True)
        self._client.close()

    def _ours(self) -> list[Any]:
        # Containers of other people may end while we look.
        everything = self._client.containers.list(
            all=True, filters={"label": LABEL_OWNER}, ignore_removed=True
        )
        return [c for c in everything if c.labels[LABEL_OWNER].startswith(self._run)]

    def _end_strangers(self) -> None:
        while self._strangers:
            self._strangers.pop().remove(force=True)


class ProcessField:
    """The store of the process engine, as its files show it; its strangers are processes."""

    engine = "process"

    def __init__(self, scratch: Path) -> None:
        self._store = scratch / "data/process"

    def environ(self) -> dict[str, str]:
        return {}

    def let_strangers_in(self, _chance: random.Random) -> set[int]:
        return set()

    def leases(self) -> list[list[str]]:
        found = []
        for record in self._records():
            if record["labels"][LABEL_ROLE] == "environment":
                given = record["environment"]["CUDA_VISIBLE_DEVICES"].split(",")
                assert given == record["labels"][LABEL_GPUS].split(",")
                found.append(given)
        return found

    def left_behind(self) -> list[str]:
        return [record["name"] for record in self._records()]

    def clear(self) -> None:
        pass

    def _records(self) -> Iterator[dict[str, Any]]:
        for path in self._store.glob("[0-9a-f]*/container.json"):
            with contextlib.suppress(FileNotFoundError):
                yield json.loads(path.read_text())


def _request(**words: Any) -> docker.types.DeviceRequest:
    request = docker.types.DeviceRequest()
    request.update(words)
    return request


def racer(number: str, engine_name: str, scratch: str, run: str) -> None:
    """Launch and remove one environment whenever a line of stdin says so."""
    from jupyter_dlenv.engines import open_engine
    from jupyter_dlenv.environments import Environments
    from jupyter_dlenv.errors import DlenvError
    from jupyter_dlenv.gpu_request import GpuRequest
    from jupyter_dlenv.models import EnvironmentSpec
    from jupyter_dlenv.plan import Caller
    from jupyter_dlenv.policy import Policy

    data = Path(scratch) / "data"
    image = "python" if engine_name == "process" else "dlenv-test/kernel"

    async def obey(environments: Environments, command: dict[str, Any]) -> dict[str, Any]:
        try:
            if "launch" in command:
                wish = GpuRequest(count=command["launch"])
                spec = EnvironmentSpec(name="a", image=image, gpus=wish)
                return {"uuids": list((await environments.launch(spec)).gpu_uuids)}
            for environment in await environments.list():
                await environments.remove(environment.name)
            return {}
        except DlenvError as error:
            return {"error": error.code, "text": str(error), "detail": error.detail}

    async def main() -> None:
        environments = Environments(
            open_engine(engine_name, data_dir=data),
            owner=f"{run}-{number}",
            caller=Caller.current(),
            policy=Policy(),
            data_dir=data / number,
            runtime_dir=Path(scratch) / f"run{number}",
        )
        # What every launch of a server has behind it: it looks into the image.
        await environments.list()
        print(json.dumps({"ready": True}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await obey(environments, json.loads(line))), flush=True)
        await environments.aclose()

    asyncio.run(main())


def main() -> int:
    if sys.argv[1:2] == ["racer"]:
        racer(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["docker", "process", "oldest"], default="docker")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.engine == "process":
        result = race("process", options.rounds, seed=options.seed)
    elif options.engine == "docker":
        url = ask.answering_url() or sys.exit("No Docker engine answers.")
        let_the_engine_have_gpus(url)
        result = race("docker", options.rounds, url=url, seed=options.seed)
    else:
        with engine.running("oldest") as oldest:
            Images(oldest.url, source=Images(ask.answering_url())).ensure("kernel")
            result = race("docker", options.rounds, url=oldest.url, seed=options.seed)
    print(options.engine, result)
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
