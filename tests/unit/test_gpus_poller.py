"""Looking at the GPUs: one thread for all, only while somebody looks, and never for ever."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from jupyter_dlenv.gpus.inventory import DriverState, Inventory
from jupyter_dlenv.gpus.poller import GpuPoller

LIMIT = 10


class Driver:
    """Counts the readings, and is as slow or broken as a test wants."""

    def __init__(self):
        self.readings = 0
        self.closed = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.began = threading.Event()
        self.failure = None
        self._busy = threading.Lock()

    def read(self):
        assert self._busy.acquire(blocking=False), "Two threads read at once."
        try:
            self.began.set()
            assert self.may_answer.wait(LIMIT)
            self.readings += 1
            if self.failure:
                raise self.failure
            return Inventory(taken=self.readings)
        finally:
            self._busy.release()

    def close(self):
        self.closed.set()


@pytest.fixture
def driver():
    return Driver()


@pytest.fixture
def poller(driver, jp_asyncio_loop):
    poller = GpuPoller(driver, interval=0.01, linger=0.01, patience=LIMIT)
    yield poller
    driver.may_answer.set()
    jp_asyncio_loop.run_until_complete(poller.aclose())


def threads():
    return [t for t in threading.enumerate() if t.name == "gpus"]


async def until(condition):
    limit = asyncio.get_running_loop().time() + LIMIT
    while not condition():
        assert asyncio.get_running_loop().time() < limit
        await asyncio.sleep(0.005)


async def test_a_reading_is_returned(poller):
    inventory = await poller.read()

    assert inventory.taken == 1


async def test_who_watches_gets_one_reading_after_the_other(poller):
    async with aclosing(poller.watch()) as inventories:
        taken = [(await anext(inventories)).taken for _ in range(3)]

    assert taken == sorted(set(taken))


async def test_all_who_look_share_one_thread(poller, driver):
    async def watch():
        async with aclosing(poller.watch()) as inventories:
            return [(await anext(inventories)).taken for _ in range(5)]

    seen = await asyncio.gather(*(watch() for _ in range(20)))

    assert len(threads()) == 1
    assert driver.readings < 20 * 5
    assert all(x == sorted(x) for x in seen)


async def test_nothing_is_read_when_nobody_looks(poller, driver):
    assert threads() == []

    await poller.read()
    await until(driver.closed.is_set)
    await until(lambda: not threads())

    assert driver.readings == 1


async def test_who_comes_later_is_served_by_a_new_thread(poller, driver):
    await poller.read()
    await until(lambda: not threads())

    assert (await poller.read()).taken == 2


async def test_the_driver_is_not_opened_anew_for_each_look(driver):
    poller = GpuPoller(driver, linger=LIMIT)

    await poller.read()
    await poller.read()

    assert not driver.closed.is_set()
    await poller.aclose()
    assert driver.closed.is_set()


async def test_a_reading_that_had_begun_before_is_not_returned(poller, driver):
    driver.may_answer.clear()
    first = asyncio.ensure_future(poller.read())
    await until(driver.began.is_set)

    second = asyncio.ensure_future(poller.read())
    await asyncio.sleep(0)
    driver.may_answer.set()

    await first
    assert (await second).taken == 2


async def test_a_driver_that_hangs_is_a_state_that_is_shown(driver):
    poller = GpuPoller(driver, interval=0.01, patience=0.05)
    driver.may_answer.clear()

    inventory = await poller.read()

    assert inventory.driver_state is DriverState.ERROR
    assert "has not answered" in inventory.message
    driver.may_answer.set()
    assert (await poller.read()).driver_state is DriverState.OK
    await poller.aclose()


async def test_a_look_can_be_cancelled_while_the_driver_hangs(poller, driver):
    driver.may_answer.clear()
    look = asyncio.ensure_future(poller.read())
    await until(driver.began.is_set)

    look.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(look, LIMIT)


async def test_a_reader_that_fails_is_a_state_too_and_is_tried_again(poller, driver):
    driver.failure = ValueError("odd")
    assert "odd" in (await poller.read()).message

    driver.failure = None
    assert (await poller.read()).driver_state is DriverState.OK


async def test_who_is_slow_gets_the_newest_reading(poller, driver):
    async with aclosing(poller.watch()) as inventories:
        await anext(inventories)
        await until(lambda: driver.readings > 10)

        assert (await anext(inventories)).taken >= 10


async def test_closing_sends_those_who_look_away(poller, driver):
    async def watch():
        return [x async for x in poller.watch()]

    watching = asyncio.ensure_future(watch())
    await until(driver.began.is_set)
    await poller.aclose()

    assert await asyncio.wait_for(watching, LIMIT)
    assert (await poller.read()).driver_state is DriverState.ERROR
    assert [x async for x in poller.watch()] == []
    assert threads() == []
