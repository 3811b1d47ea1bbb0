"""Timers that begin anew with every invocation."""

from __future__ import annotations

import asyncio

from lambent.worker.lazy_timer import LazyTimer


async def test_it_is_due_after_the_seconds_of_its_last_begin() -> None:
    loop = asyncio.get_running_loop()
    due = asyncio.Event()
    timer = LazyTimer(loop, due.set)
    begun = loop.time()
    timer.begin(0.01)
    timer.begin(0.05)
    await asyncio.wait_for(due.wait(), 5)
    assert loop.time() - begun >= 0.049


async def test_it_can_be_due_earlier_than_it_was() -> None:
    due = asyncio.Event()
    timer = LazyTimer(asyncio.get_running_loop(), due.set)
    timer.begin(3600)
    timer.begin(0.01)
    await asyncio.wait_for(due.wait(), 5)


async def test_it_is_not_due_when_it_was_put_off_or_stopped() -> None:
    loop = asyncio.get_running_loop()
    due: list[str] = []
    put_off = LazyTimer(loop, lambda: due.append("put off"))
    stopped = LazyTimer(loop, lambda: due.append("stopped"))
    later = LazyTimer(loop, lambda: due.append("later"))
    put_off.begin(0.005)
    stopped.begin(0.005)
    later.begin(0.005)
    put_off.put_off()
    stopped.stop()
    await asyncio.sleep(0.03)
    assert due == ["later"]
    put_off.begin(0.005)
    await asyncio.sleep(0.03)
    assert due == ["later", "put off"]
