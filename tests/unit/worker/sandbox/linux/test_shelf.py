"""The shelf: what is made is given out once, kept, or discarded; nothing gets lost."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from lambent.worker.sandbox.linux.shelf import READY, Shelf


class Maker:
    """Makes numbers, once it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.made: list[int] = []
        self.discarded: list[int] = []
        self._numbers = itertools.count()
        self.shelf = Shelf("number", self._make, self._discard)

    async def _make(self) -> int:
        await self.may.wait()
        self.made.append(next(self._numbers))
        return self.made[-1]

    async def _discard(self, number: int) -> None:
        self.discarded.append(number)


@pytest.fixture
async def maker() -> Maker:
    return Maker()


async def test_what_a_taker_gave_up_is_the_next_ones(maker: Maker) -> None:
    taking = asyncio.create_task(maker.shelf.take())
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    maker.may.set()
    while not maker.made:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await maker.shelf.take() == 0
    await maker.shelf.close()
    assert maker.discarded == maker.made[1:]


async def test_closing_waits_for_what_is_being_made(maker: Maker) -> None:
    taking = asyncio.create_task(maker.shelf.take())
    await asyncio.sleep(0)
    taking.cancel()
    closing = asyncio.create_task(maker.shelf.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    maker.may.set()
    await closing
    assert maker.discarded == maker.made == [0]


async def test_it_is_filled_and_emptied(maker: Maker) -> None:
    maker.may.set()
    maker.shelf.refill()
    while len(maker.made) < READY:
        await asyncio.sleep(0)
    assert await maker.shelf.take() == 0
    await maker.shelf.close()
    assert maker.discarded == list(range(1, READY))
