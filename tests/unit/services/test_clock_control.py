"""Moving the clock: everything that comes due is done at its time and settled before the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from lambent.model.idle import Activities
from lambent.model.movable_clock import MovableClock
from lambent.services.development.clock_control import ClockControl, NotIdleError

SIX_HOURS_S = 6 * 3600.0


class Retries:
    """A part like the event queue: what fails is tried again after 60 s, 120 s, … until it is six hours old."""

    name = "retries"

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self.due: float | None = None
        self.working = False
        self.attempts: list[float] = []
        self._wake = asyncio.Event()

    def is_idle(self) -> bool:
        return not self.working

    def next_due(self) -> float | None:
        return self.due

    def accept(self) -> None:
        self.began, self.delay, self.due = self.clock.now(), 60.0, self.clock.now()
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.due is not None:
                await self.clock.sleep(self.due - self.clock.now())
                self.working, self.due = True, None
                await asyncio.sleep(0.001)  # a function runs
                self.attempts.append(self.clock.now() - self.began)
                if self.clock.now() + self.delay - self.began <= SIX_HOURS_S:
                    self.due = self.clock.now() + self.delay
                    self.delay *= 2
                self.working = False


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def retries(clock: MovableClock) -> AsyncIterator[Retries]:
    part = Retries(clock)
    task = asyncio.create_task(part.run())
    yield part
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def control(clock: MovableClock, retries: Retries) -> ClockControl:
    activities = Activities()
    activities.add(retries)
    return ClockControl(clock, activities)


async def test_run_until_idle_goes_through_six_hours_of_retries(control: ClockControl, retries: Retries) -> None:
    await control.freeze()
    retries.accept()
    moved = await control.run_until_idle(SIX_HOURS_S, 30)
    expected = [60.0 * (2**n - 1) for n in range(9)]
    assert retries.attempts == [pytest.approx(one) for one in expected]
    assert moved.seconds == pytest.approx(expected[-1])
    assert (control.busy, control.next_due, control.clock.is_frozen) == ([], None, True)


async def test_advance_does_what_is_due_until_then_and_not_more(control: ClockControl, retries: Retries) -> None:
    retries.accept()
    moved = await control.advance(200, 30)
    assert len(retries.attempts) == 3
    assert moved.seconds == pytest.approx(200)
    assert not control.clock.is_frozen
    assert 199 < control.clock.ahead_s <= 200.1


async def test_it_runs_in_steps_as_it_would_at_once(control: ClockControl, retries: Retries) -> None:
    await control.freeze()
    retries.accept()
    for _ in range(24):
        await control.advance(900, 30)
    assert retries.attempts == [pytest.approx(60.0 * (2**n - 1)) for n in range(9)]


async def test_housekeeping_keeps_nobody_from_being_idle(control: ClockControl) -> None:
    async def housekeeping() -> None:
        while True:
            await control.clock.sleep(5)

    task = asyncio.create_task(housekeeping())
    assert (await control.run_until_idle(SIX_HOURS_S, 30)).seconds == 0
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_is_due_too_late_is_told(control: ClockControl, retries: Retries) -> None:
    await control.freeze()
    retries.accept()
    with pytest.raises(NotIdleError, match="due only in 120 s"):
        await control.run_until_idle(100, 30)
    assert len(retries.attempts) == 2


async def test_what_does_not_come_to_rest_is_named(control: ClockControl, retries: Retries) -> None:
    retries.working = True
    with pytest.raises(NotIdleError, match="still busy: retries"):
        await control.advance(1, 0.05)
    assert control.clock.is_frozen
    retries.working = False
    await control.real(5)
    assert not control.clock.is_frozen


async def test_real_time_goes_on_from_the_later_of_both(control: ClockControl) -> None:
    await control.freeze()
    await asyncio.sleep(0.05)
    assert control.clock.ahead_s < 0
    await control.real(5)
    assert control.clock.ahead_s == pytest.approx(0, abs=0.04)
    await control.advance(3600, 5)
    await control.real(5)
    assert control.clock.ahead_s == pytest.approx(3600, abs=1)
