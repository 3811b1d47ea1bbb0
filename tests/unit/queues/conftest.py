"""Queues of each kind for every contract test, on a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.queues.api import Queues
from lambent.queues.memory import MemoryQueues
from lambent.queues.sqlite import SqliteQueues
from lambent.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
async def queues(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Queues]:
    made: Queues = MemoryQueues(clock)
    if request.param == "sqlite":
        made = await SqliteQueues.open(tmp_path / "queues.db", clock)
    yield made
    await made.close()
