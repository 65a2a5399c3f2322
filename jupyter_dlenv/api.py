"""Environments for scripts: ``import jupyter_dlenv as dl; dl.launch(…)``.

Everything here blocks until it is done, in a notebook's cell too; ``aio`` has the same for
programs with an event loop of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .access.connect import ConnectionSheet
from .background import wait
from .configuration import Configuration
from .environments import Environments
from .errors import CellFailedError, SshUnavailableError
from .gpus.line import PlaceInLine
from .kernels.carrier import Carrier
from .kernels.dialogue import Answer, Dialogue, Hear, Message
from .models import Environment, EnvironmentSpec, PortMapping, Progress, Status
from .naming import name_for
from .reach import connection_sheet

_T = TypeVar("_T")

#: What a message on iopub becomes in a notebook.
_OUTPUTS = {
    "stream": ("name", "text"),
    "display_data": ("data", "metadata"),
    "execute_result": ("data", "metadata", "execution_count"),
}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What code has put out.

    Attributes:
        outputs: As a notebook keeps them: streams, pictures, results, in their order.
        variables: Those that were asked for.
    """

    outputs: tuple[dict[str, Any], ...]
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def stdout(self) -> str:
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        return self._stream("stderr")

    @property
    def text(self) -> str:
        """Return the value of the last expression as Python shows it; empty if there is none."""
        results = [o for o in self.outputs if o["output_type"] == "execute_result"]
        return str(results[-1]["data"].get("text/plain", "")) if results else ""

    def _stream(self, name: str) -> str:
        streams = [o for o in self.outputs if o["output_type"] == "stream"]
        return "".join(o["text"] for o in streams if o["name"] == name)


class EnvironmentHandle:
    """One environment, and a kernel in it that keeps its variables from call to call.

    Leaving its ``with`` block removes an environment that ``launch`` has made for it, and ends
    only the kernel of one that was there already.
    """

    def __init__(self, environment: Environment, *, engine: str, remove_at_end: bool) -> None:
        self._environment = environment
        self._engine = engine
        self._remove_at_end = remove_at_end
        self._dialogue: Dialogue | None = None
        self._carrier: Carrier | None = None

    def __enter__(self) -> EnvironmentHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._remove_at_end:
            self.remove()
        else:
            self.close()

    def __repr__(self) -> str:
        image = self._environment.spec.image
        return f"<environment {self.name!r}: {image}, {self._environment.status.value}>"

    @property
    def environment(self) -> Environment:
        """Return what was last observed of it; ``refresh`` looks again."""
        return self._environment

    @property
    def name(self) -> str:
        return self._environment.name

    @property
    def ports(self) -> tuple[PortMapping, ...]:
        """Return its published ports."""
        return self._environment.ports

    @property
    def status(self) -> Status:
        return self._environment.status

    @property
    def connection(self) -> ConnectionSheet:
        """Return all ways into it: ssh, editors, ports, with the lines to copy."""
        return wait(with_environments(self._engine, lambda e: connection_sheet(e, self.name)))

    @property
    def ssh_command(self) -> str:
        """Return a line that opens a shell in it over SSH, and works on this machine as it is.

        Raises:
            SshUnavailableError: It has no SSH server.
        """
        sheet = self.connection
        if sheet.unavailable:
            raise SshUnavailableError(f"{self.name!r} has no SSH.", hint=sheet.unavailable)
        return f"ssh {sheet.alias}" if sheet.installed else f"jupyter dlenv ssh {self.name}"

    def refresh(self) -> Environment:
        """Look again."""
        return self._after(lambda environments: environments.get(self.name))

    def start(self) -> Environment:
        """Start it; a running one is only waited for."""
        return self._after(lambda environments: environments.start(self.name))

    def stop(self) -> Environment:
        """Stop it: files and what was installed are kept."""
        self.close()
        return self._after(lambda environments: environments.stop(self.name))

    def remove(self) -> None:
        """Remove it, with all that was installed."""
        self.close()
        wait(with_environments(self._engine, lambda e: e.remove(self.name)))

    def run(
        self,
        code: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] = (),
        pickled: bool = False,
        hear: Hear | None = None,
        answer: Answer | None = None,
    ) -> RunResult:
        """Run code in the environment's kernel; return its outputs.

        The kernel starts with the first call, and the environment too if it is stopped.

        Args:
            code: As in a cell of a notebook.
            inputs: Variables that are set there before.
            outputs: Names of variables that are fetched afterwards.
            pickled: Carry values of any kind.  Unpickling what comes out runs what the
                environment wants, on this machine.
            hear: Called with each message of Jupyter's protocol that the code publishes.
            answer: Called with the prompt of an ``input()``, and whether it is a password.

        Raises:
            CellFailedError: With the traceback in the environment.
            NotCarriedError: A variable is of a kind that cannot be carried.
            KernelGoneError: The kernel ended.
        """
        dialogue = self._talk()
        heard: list[dict[str, Any]] = []

        def listen(message: Message) -> None:
            keys = _OUTPUTS.get(message["msg_type"])
            if keys is not None:
                content = {key: message["content"][key] for key in keys}
                heard.append({"output_type": message["msg_type"], **content})
            if hear is not None:
                hear(message)

        if inputs:
            self._carry().put(inputs, pickled=pickled)
        reply = dialogue.execute(code, hear=listen, answer=answer)
        if reply["status"] != "ok":
            raise _failed(reply)
        fetched = self._carry().get(outputs, pickled=pickled) if outputs else {}
        return RunResult(outputs=tuple(heard), variables=fetched)

    def interrupt(self) -> None:
        """Interrupt what runs; for another thread than the one that waits in ``run``."""
        if self._dialogue is not None:
            self._dialogue.interrupt()

    def close(self) -> None:
        """End the kernel of ``run``."""
        dialogue, self._dialogue, self._carrier = self._dialogue, None, None
        if dialogue is not None:
            dialogue.close()

    def _talk(self) -> Dialogue:
        if self._dialogue is not None and not self._dialogue.alive:
            self.close()
        if self._dialogue is None:
            environment = self.start()
            self._dialogue = Dialogue.start(environment, cwd=str(Path.cwd()))
        return self._dialogue

    def _carry(self) -> Carrier:
        if self._carrier is None:
            self._carrier = Carrier(self._talk())
        return self._carrier

    def _after(
        self, step: Callable[[Environments], Coroutine[Any, Any, Environment]]
    ) -> Environment:
        self._environment = wait(with_environments(self._engine, step))
        return self._environment


def launch(image: str, **wanted: Any) -> EnvironmentHandle:
    """Launch an environment; see ``aio.launch`` for what can be wanted."""
    return wait(launching(image, **wanted))


def get(name: str, *, engine: str = "") -> EnvironmentHandle:
    """Return an environment that is there already.

    Raises:
        EnvironmentNotFoundError
    """
    environment = wait(with_environments(engine, lambda environments: environments.get(name)))
    return EnvironmentHandle(environment, engine=engine, remove_at_end=False)


def environments(*, engine: str = "") -> tuple[EnvironmentHandle, ...]:
    """Return all environments of yours."""
    found = wait(with_environments(engine, lambda environments: environments.list()))
    return tuple(EnvironmentHandle(e, engine=engine, remove_at_end=False) for e in found)


async def launching(
    image: str,
    *,
    name: str = "",
    mount_here: bool = True,
    build_dir: str = "",
    keep: bool = False,
    engine: str = "",
    authorize: Sequence[str] = (),
    wait_for_gpus: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
    **wanted: Any,
) -> EnvironmentHandle:
    """Do what ``launch`` does, on the caller's event loop."""

    async def work(environments: Environments) -> Environment:
        chosen = name or name_for(image, {e.name for e in await environments.list()})
        spec = EnvironmentSpec.from_json({"name": chosen, "image": image, **wanted})
        if mount_here:
            spec = configuration.with_default_mount(spec, os.curdir)
        return await environments.launch(
            spec,
            report=report,
            build_dir=build_dir,
            line=PlaceInLine() if wait_for_gpus else None,
            authorize=tuple(authorize),
        )

    configuration = await asyncio.to_thread(Configuration.load)
    environment = await _opened(configuration, engine, work)
    return EnvironmentHandle(environment, engine=engine, remove_at_end=not keep)


async def with_environments(
    engine: str, work: Callable[[Environments], Coroutine[Any, Any, _T]]
) -> _T:
    """Do something with the environments that the configuration names."""
    return await _opened(await asyncio.to_thread(Configuration.load), engine, work)


async def _opened(
    configuration: Configuration,
    engine: str,
    work: Callable[[Environments], Coroutine[Any, Any, _T]],
) -> _T:
    environments = configuration.open(engine)
    try:
        return await work(environments)
    finally:
        await environments.aclose()


def _failed(reply: Message) -> CellFailedError:
    if reply["status"] != "error":
        return CellFailedError("Aborted", "The code did not run.", ())
    # Named as the error was, for whoever looks at the name only, as notebooks do.
    kind: type[CellFailedError] = type(
        str(reply["ename"]), (CellFailedError,), {"__doc__": CellFailedError.__doc__}
    )
    return kind(str(reply["ename"]), str(reply["evalue"]), tuple(map(str, reply["traceback"])))
