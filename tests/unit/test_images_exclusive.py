"""Work that several launches need is done by one of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from jupyter_dlenv.images.exclusive import exclusive, write_atomically

_HOLD = (
    "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
    "print('held', flush=True); sys.stdin.read()"
)


async def test_one_at_a_time(tmp_path):
    inside = []
    most = []

    async def work():
        async with exclusive(tmp_path / "a.lock"):
            inside.append(1)
            most.append(len(inside))
            await asyncio.sleep(0)
            inside.pop()

    await asyncio.gather(*(work() for _ in range(5)))

    assert [1] * 5 == most


@pytest.fixture
def holder(tmp_path):
    """Run another process that holds the lock."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "a.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


async def take(lock, waiting):
    async with exclusive(lock, waiting=waiting):
        pass


async def test_the_death_of_another_process_frees_the_lock(tmp_path, holder):
    waits = []

    def waiting():
        waits.append(1)
        holder.kill()

    await asyncio.wait_for(take(tmp_path / "a.lock", waiting), 10)

    assert [1] == waits


async def test_a_cancelled_wait_takes_nothing(tmp_path):
    lock = tmp_path / "a.lock"
    is_waiting = asyncio.Event()
    async with exclusive(lock):
        waiter = asyncio.create_task(take(lock, is_waiting.set))
        await asyncio.wait_for(is_waiting.wait(), 5)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    await asyncio.wait_for(take(lock, lambda: pytest.fail("The lock is still held.")), 5)


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "a.json"

    write_atomically(path, "one")
    write_atomically(path, "two")

    assert "two" == path.read_text()
    assert [path] == list(path.parent.iterdir())
