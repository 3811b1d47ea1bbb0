"""`MovableClock`: runs with the host, stands, steps from due time to due time, and never goes back."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.movable_clock import MovableClock


@dataclass
class Host:
    """The host's two clocks."""

    wall: float = 1_700_000_000.0
    steady: float = 50.0

    def clock(self) -> MovableClock:
        return MovableClock(lambda: self.wall, lambda: self.steady)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_is_the_hosts_until_it_is_moved() -> None:
    host = Host()
    clock = host.clock()
    assert (clock.now(), clock.monotonic(), clock.ahead_s) == (host.wall, host.steady, 0.0)
    host.passes(5)
    assert (clock.now(), clock.monotonic()) == (host.wall, host.steady)
    host.wall -= 3600  # somebody sets the host's clock
    assert (clock.now(), clock.monotonic()) == (host.wall, host.steady)


async def test_running_it_wakes_sleepers_in_real_time() -> None:
    clock = MovableClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    await asyncio.gather(sleeper("c", 0.03), sleeper("a", 0.01), sleeper("b", 0.02))
    assert woken == ["a", "b", "c"]


async def test_standing_it_steps_from_due_time_to_due_time() -> None:
    host = Host()
    clock = host.clock()
    seen: list[tuple[str, float]] = []

    async def ticker(name: str, period: float) -> None:
        while True:
            await clock.sleep(period)
            seen.append((name, clock.now() - 1_700_000_000.0))

    tasks = [asyncio.create_task(ticker(*one)) for one in (("two", 2.0), ("three", 3.0))]
    await _turns()
    clock.freeze()
    host.passes(100)
    await _turns()
    assert (seen, clock.now(), clock.is_frozen) == ([], 1_700_000_000.0, True)
    while clock.step(1_700_000_007.0):
        await _turns()
    assert seen == [("two", 2.0), ("three", 3.0), ("two", 4.0), ("three", 6.0), ("two", 6.0)]
    assert (clock.now(), clock.monotonic(), clock.ahead_s) == (1_700_000_007.0, 57.0, -93.0)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_it_shows_exactly_the_due_time() -> None:
    """Whoever sleeps `due - now` finds `now == due`, or a loop that sleeps until something is due would never end."""
    host = Host(wall=1_700_000_000.123456)
    clock = host.clock()
    clock.freeze()
    due = 1_700_021_600.7654321
    sleeper = asyncio.ensure_future(clock.sleep(due - clock.now()))
    await _turns()
    assert clock.step(due + 1)
    await sleeper
    assert clock.now() == due


async def test_it_runs_on_from_where_it_stood_and_nobody_oversleeps() -> None:
    host = Host()
    clock = host.clock()
    sleeper = asyncio.ensure_future(clock.sleep(3600))
    await _turns()
    clock.freeze()
    assert not clock.step(clock.now() + 3599.99)
    host.passes(10)
    clock.run()
    assert clock.ahead_s == pytest.approx(3589.99)
    before = clock.monotonic()
    host.passes(1)
    assert clock.now() == pytest.approx(1_700_003_600.99)
    assert clock.monotonic() == before + 1
    await asyncio.wait_for(sleeper, 5)  # some 10 ms of the event loop's own time


async def test_it_steps_only_when_it_stands() -> None:
    with pytest.raises(RuntimeError, match="runs"):
        MovableClock().step(0)


async def test_cancelled_sleepers_are_forgotten() -> None:
    clock = MovableClock()
    for _ in range(1000):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(clock.sleep(3600), 0)
    sleepers = [asyncio.ensure_future(clock.sleep(3600)) for _ in range(1000)]
    await _turns()
    for sleeper in sleepers:
        sleeper.cancel()
    await asyncio.gather(*sleepers, return_exceptions=True)
    assert len(clock._sleepers) < 200
    clock.freeze()


@given(st.lists(st.sampled_from(["freeze", "run", "step", "pass", "set back", "set ahead"]), max_size=30))
def test_monotonic_time_never_goes_back(moves: list[str]) -> None:
    async def scenario() -> None:
        host = Host()
        clock = host.clock()
        before = clock.monotonic()
        for move in moves:
            match move:
                case "freeze":
                    clock.freeze()
                case "run":
                    clock.run()
                case "step" if clock.is_frozen:
                    clock.step(clock.now() + 7)
                case "set back" | "set ahead":
                    host.wall += 3600 if move == "set ahead" else -3600
                case _:
                    host.passes(2)
            assert clock.monotonic() >= before - 1e-6
            before = clock.monotonic()

    asyncio.run(scenario())
