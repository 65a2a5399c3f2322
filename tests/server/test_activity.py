"""What Jupyter knows of a kernel's activity while it is spared the bulk of what that says."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from .client import until

SPEAKING = """\
import pathlib, threading, time
from ipykernel.comm import Comm
channel = Comm(target_name="of-the-test")
def speak():
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.01)
    channel.send({{}})
threading.Thread(target=speak).start()
print("on")
1 / 1
"""


@pytest.fixture
def heard(jp_serverapp):
    """Return what Jupyter says that it hears of kernels, a list that grows."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log = jp_serverapp.kernel_manager.log
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield lines
    log.removeHandler(handler)
    log.setLevel(level)


def kinds(heard, kernel) -> set[str]:
    """Return the types of the messages that Jupyter hears of a kernel."""
    beginning = f"activity on {kernel.id}: "
    return {line.removeprefix(beginning).split()[0] for line in heard if beginning in line}


async def last_activity(fetch, kernel) -> str:
    return json.loads((await fetch("api", "kernels", kernel.id)).body)["last_activity"]


async def test_jupyter_hears_all_but_what_comms_carry(launched, start_kernel, heard, tmp_path):
    await launched("bert")
    kernel = await start_kernel("dlenv-bert")
    go = tmp_path / "go"
    go.touch()

    await kernel.execute(SPEAKING.format(go=str(go)))
    await kernel.execute("display({'text/plain': 'a'}, raw=True); nothing")

    await until(lambda: "error" in kinds(heard, kernel))
    assert kinds(heard, kernel) >= {"execute_input", "stream", "execute_result", "display_data"}
    assert not {"comm_open", "comm_msg"} & kinds(heard, kernel)


async def test_a_comm_that_speaks_to_a_page_is_activity(launched, start_kernel, jp_fetch, tmp_path):
    await launched("bert")
    kernel = await start_kernel("dlenv-bert")
    go = tmp_path / "go"
    await kernel.execute(SPEAKING.format(go=str(go)))
    before = await last_activity(jp_fetch, kernel)

    go.touch()

    for _ in range(3000):
        if await last_activity(jp_fetch, kernel) > before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was noted")


async def test_of_a_kernel_on_this_machine_jupyter_hears_all(dlenv, start_kernel, heard, tmp_path):
    kernel = await start_kernel("python3")
    go = tmp_path / "go"
    go.touch()

    await kernel.execute(SPEAKING.format(go=str(go)))

    await until(lambda: "comm_open" in kinds(heard, kernel))
