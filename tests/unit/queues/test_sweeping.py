"""What the queue file holds behind what anybody sees: swept when something can be, and not looked at otherwise."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from lambent.queues import sweeping
from lambent.queues.api import DEDUPLICATION_WINDOW_MS, NewMessage
from lambent.queues.requests import Outcome, Request, Sweep
from lambent.queues.schema import STEPS
from lambent.queues.sqlite import SqliteQueues
from lambent.queues.sweeping import Swept
from lambent.store.sqlite_file import open_writer
from lambent.testing.clock import ManualClock

_WINDOW_S = DEDUPLICATION_WINDOW_MS / 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


@pytest.fixture
async def queues(path: Path, clock: ManualClock) -> AsyncIterator[SqliteQueues]:
    made = await SqliteQueues.open(path, clock)
    yield made
    await made.close()


@pytest.fixture
def keep_little(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pages that are kept free."""
    monkeypatch.setattr(sweeping, "_KEPT_FREE", 20)
    monkeypatch.setattr(sweeping, "_GIVEN_BACK_MAX", 50)
    return 20


def number(path: Path, statement: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(statement).fetchone()
    return int(found)


def rows(path: Path, table: str) -> int:
    return number(path, f"SELECT count(*) FROM {table}")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def listed_sweeps(queues: SqliteQueues, monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Future[Outcome]]:
    """Those from now on, as they come."""
    sweeps = []
    submit = queues._writer.submit

    def noting(request: Request) -> asyncio.Future[Outcome]:
        done = submit(request)
        if isinstance(request, Sweep):
            sweeps.append(done)
        return done

    monkeypatch.setattr(queues._writer, "submit", noting)
    return sweeps


async def fill_and_empty(queues: SqliteQueues) -> None:
    """1.2 MB."""
    await queues.send([NewMessage("a", str(at), bytes(6_000)) for at in range(200)])
    messages = await queues.receive("a", lease_s=30, limit=200)
    await queues.acknowledge([message.receipt for message in messages])


async def test_nothing_is_looked_at_while_nothing_can_be_swept(
    queues: SqliteQueues, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = listed_sweeps(queues, monkeypatch)
    await queues.send([NewMessage("a", "1", b"x")])
    await until(lambda: clock.next_deadline is not None)
    clock.advance(60)
    await until(lambda: len(sweeps) == 1 and sweeps[0].done())
    for _ in range(3):
        await asyncio.sleep(0.02)
        assert clock.next_deadline is None
        clock.advance(86_400)
    assert len(sweeps) == 1


async def test_what_was_remembered_for_a_while_is_swept_when_that_is_over(
    queues: SqliteQueues, path: Path, clock: ManualClock
) -> None:
    begun = clock.now()
    await queues.send([NewMessage("a", "1", b"x", group="g", deduplication="d")])
    await queues.receive("a", lease_s=30, attempt="first")
    await until(lambda: clock.next_deadline is not None)
    clock.advance(60)
    await until(lambda: clock.next_deadline == begun + _WINDOW_S)
    assert rows(path, "deduplications") == rows(path, "attempts") == 1
    clock.advance(_WINDOW_S - 60)
    await until(lambda: rows(path, "deduplications") + rows(path, "attempts") == 0)


async def test_what_was_purged_is_swept_at_once(queues: SqliteQueues, path: Path, clock: ManualClock) -> None:
    await queues.send([NewMessage("a", str(at), b"x", group=f"g{at % 7}") for at in range(2_500)])
    await queues.purge("a")
    await until(lambda: rows(path, "messages") + rows(path, "bodies") + rows(path, "groups") == 0)
    await until(lambda: rows(path, "emptied") == 0)


async def test_the_file_is_shortened_when_much_of_it_is_free(
    queues: SqliteQueues, path: Path, clock: ManualClock, keep_little: int
) -> None:
    await fill_and_empty(queues)
    await until(lambda: clock.next_deadline is not None)
    before = number(path, "PRAGMA page_count")
    clock.advance(60)
    await until(lambda: number(path, "PRAGMA freelist_count") <= keep_little)
    assert number(path, "PRAGMA page_count") < before / 4
    assert number(path, "PRAGMA freelist_count") == keep_little
    await queues.send([NewMessage("a", "again", b"x")])
    assert [message.id for message in await queues.receive("a", lease_s=30)] == ["again"]
    await queues.close()
    assert path.stat().st_size < before * 4096 / 4


@pytest.mark.usefixtures("keep_little")
async def test_a_file_that_cannot_be_shortened_is_let_alone(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_writer(path, STEPS).close()
    queues = await SqliteQueues.open(path, clock)
    sweeps = listed_sweeps(queues, monkeypatch)
    await fill_and_empty(queues)
    await until(lambda: clock.next_deadline is not None)
    before = number(path, "PRAGMA page_count")
    clock.advance(60)
    await until(lambda: len(sweeps) == 1 and sweeps[0].done())
    assert sweeps[0].result().result == Swept(False)
    assert number(path, "PRAGMA page_count") == before
    await queues.close()
