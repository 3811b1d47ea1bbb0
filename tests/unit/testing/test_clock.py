"""`ManualClock`: stands still, moves when told, wakes sleepers in order."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.clock import Clock
from lambent.testing.clock import DEFAULT_START, ManualClock


async def test_it_stands_still() -> None:
    clock: Clock = ManualClock()
    sleeper = asyncio.ensure_future(clock.sleep(0.001))
    await asyncio.sleep(0.02)
    assert clock.now() == DEFAULT_START
    assert not sleeper.done()
    sleeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sleeper


async def test_advance_wakes_who_is_due_and_no_other() -> None:
    clock = ManualClock(100.0)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(f"{name} at {clock.now()}")

    async with asyncio.TaskGroup() as tasks:
        for name, seconds in [("c", 3.0), ("a", 1.0), ("b", 2.0), ("b2", 2.0), ("d", 3.5)]:
            tasks.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        assert clock.next_deadline == 101.0
        clock.advance(0.5)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(2.5)
        await asyncio.sleep(0)
        assert woken == ["a at 103.0", "b at 103.0", "b2 at 103.0", "c at 103.0"]
        clock.advance(1.0)
    assert woken[-1] == "d at 104.0"
    assert clock.next_deadline is None


async def test_run_for_stops_at_every_deadline() -> None:
    clock = ManualClock(0.0)
    ticks: list[float] = []

    async def ticker(period: float) -> None:
        while True:
            await clock.sleep(period)
            ticks.append(clock.now())

    tasks = [asyncio.create_task(ticker(period)) for period in (2.0, 3.0)]
    await clock.run_for(7.0)
    assert ticks == [2.0, 3.0, 4.0, 6.0, 6.0]
    assert clock.now() == 7.0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert clock.next_deadline is None


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock(0.0)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(clock.sleep(1.0), 0.001)
    assert clock.next_deadline is None
    clock.advance(2.0)


async def test_no_time_at_all_only_yields() -> None:
    clock = ManualClock(5.0)
    await clock.sleep(0)
    await clock.sleep(-1)
    await clock.run_for(0)
    clock.advance(0)
    assert clock.now() == 5.0


async def test_time_does_not_go_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="back"):
        await clock.run_for(-1)
    assert clock.now() == DEFAULT_START


@given(st.lists(st.integers(1, 20), max_size=10), st.lists(st.integers(0, 8), max_size=6))
def test_everybody_wakes_exactly_when_due(sleeps: list[int], steps: list[int]) -> None:
    async def scenario() -> None:
        clock = ManualClock(0.0)
        woken: list[tuple[float, int]] = []

        async def sleeper(place: int, seconds: int) -> None:
            await clock.sleep(seconds)
            assert clock.now() == seconds
            woken.append((seconds, place))

        tasks = [asyncio.create_task(sleeper(*each)) for each in enumerate(sleeps)]
        for step in steps:
            await clock.run_for(step)
            due = sorted((seconds, place) for place, seconds in enumerate(sleeps) if seconds <= clock.now())
            assert woken == due
        await clock.run_for(100)
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
