"""The metric store: what goes in comes out, in every period, after a restart, as long as it is kept."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.observability.metrics.database import DAY_S
from lambent.observability.metrics.identity import MetricId
from lambent.observability.metrics.sketch import RELATIVE_ERROR
from lambent.observability.metrics.statistics import Statistic, StatisticSet
from lambent.observability.metrics.store import MetricStore, MetricStoreError, tier_for
from lambent.testing.clock import ManualClock

METRIC = MetricId("000000000000", "us-east-1", "Shop", "Orders", (("Kind", "book"),))
START = 1_700_000_100  # a whole number of minutes and of five minutes
assert START % 300 == 0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[MetricStore]:
    made = MetricStore(tmp_path / "metrics.db", clock)
    await made.start()
    yield made
    await made.close()


def _one(value: float) -> StatisticSet:
    values = StatisticSet()
    values.add(value)
    return values


async def test_values_come_back_in_periods(store: MetricStore) -> None:
    draw = random.Random(1)
    values = [(START + draw.randrange(3600), draw.lognormvariate(3, 1)) for _ in range(2000)]
    for at, value in values:
        store.put(METRIC, "Milliseconds", at, _one(value))
        if draw.random() < 0.005:
            await store.flush()  # whatever was written when: the answer is the same
    for period in (60, 300, 600, 3600):
        found = await store.points(METRIC, period, START, START + 3600)
        expected: dict[int, list[float]] = {}
        for at, value in values:
            expected.setdefault(at - (at - START) % period, []).append(value)
        assert [start for start, _, _ in found] == sorted(expected)
        for start, unit, each in found:
            inside = sorted(expected[start])
            assert unit == "Milliseconds"
            assert (each.count, each.minimum, each.maximum) == (len(inside), inside[0], inside[-1])
            assert each.total == pytest.approx(sum(inside))
            p90 = inside[max(0, -(-len(inside) * 9 // 10) - 1)]
            assert Statistic("p90").of(each) == pytest.approx(p90, rel=RELATIVE_ERROR * 1.0001)


async def test_a_restart_keeps_everything(tmp_path: Path, clock: ManualClock) -> None:
    for _ in range(3):
        store = MetricStore(tmp_path / "metrics.db", clock)
        await store.start()
        store.put(METRIC, "Count", START, _one(2.0))
        await store.close()
    store = MetricStore(tmp_path / "metrics.db", clock)
    await store.start()
    [(_, _, values)] = await store.points(METRIC, 60, START, START + 60)
    assert (values.count, values.total, values.buckets) == (3, 6.0, _times(3))
    await store.close()


def _times(count: int) -> dict[int, float]:
    values = StatisticSet()
    values.add(2.0, count)
    assert values.buckets is not None
    return values.buckets


async def test_it_is_written_every_minute_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of real time, whether or not the clock stands; it is made short here."""
    monkeypatch.setattr("lambent.observability.metrics.store.FLUSH_INTERVAL_S", 0.02)
    store = MetricStore(tmp_path / "metrics.db", ManualClock(START))
    await store.start()
    await asyncio.sleep(0.01)  # the first turn
    store.put(METRIC, "Count", START, _one(1.0))
    for _ in range(200):  # the thread's own time
        with sqlite3.connect(tmp_path / "metrics.db") as other:
            found = other.execute("SELECT COUNT(*) FROM points").fetchone()[0]
        other.close()
        if found:
            break
        await asyncio.sleep(0.01)
    assert found == 3  # in its minute, its five minutes and its hour
    await store.close()


async def test_what_is_old_is_rolled_up_and_then_goes(tmp_path: Path, clock: ManualClock) -> None:
    ages = [1, 14, 16, 62, 64, 454, 456]
    for age in ages:
        clock_then = ManualClock(START - age * DAY_S)
        then = MetricStore(tmp_path / "metrics.db", clock_then)
        await then.start()
        then.put(METRIC, "Count", clock_then.now(), _one(1.0))
        await then.close()
    store = MetricStore(tmp_path / "metrics.db", clock)
    await store.start()
    await asyncio.sleep(0.1)  # its first turn expires
    hour = START - START % 3600
    kept = {
        period: len(await store.points(METRIC, period, hour - 500 * DAY_S, hour + 3600)) for period in (60, 300, 3600)
    }
    assert kept == {60: 2, 300: 4, 3600: 6}
    await store.close()


async def test_metrics_are_listed_while_they_have_points(store: MetricStore, clock: ManualClock) -> None:
    old = MetricId(METRIC.account, METRIC.region, "Shop", "Visits", ())
    store.put(old, "Count", START - 10 * DAY_S, _one(1.0))
    store.put(METRIC, "Count", START, _one(1.0))
    everything = await store.series(METRIC.account, METRIC.region, namespace=None, name=None, since_s=0)
    assert [listed.metric for listed in everything] == [METRIC, old]
    recent = await store.series(METRIC.account, METRIC.region, namespace=None, name=None, since_s=START - DAY_S)
    assert [listed.metric for listed in recent] == [METRIC]
    assert await store.series("111111111111", METRIC.region, namespace=None, name=None, since_s=0) == []


async def test_seconds_are_kept_where_asked_for(store: MetricStore) -> None:
    store.put(METRIC, "Count", START + 1, _one(1.0), fine=True)
    store.put(METRIC, "Count", START + 7, _one(2.0), fine=True)
    assert [at - START for at, _, _ in await store.points(METRIC, 5, START, START + 60)] == [0, 5]
    assert [values.count for _, _, values in await store.points(METRIC, 60, START, START + 60)] == [2]


async def test_a_file_that_cannot_be_written_loses_nothing_that_memory_holds(
    tmp_path: Path, store: MetricStore
) -> None:
    store.put(METRIC, "Count", START, _one(1.0))
    await store.flush()
    blocker = sqlite3.connect(tmp_path / "metrics.db", isolation_level=None)
    blocker.execute("PRAGMA busy_timeout=0")
    blocker.execute("BEGIN EXCLUSIVE")
    await asyncio.get_running_loop().run_in_executor(
        store._thread, store._database._db.execute, "PRAGMA busy_timeout=1"
    )
    store.put(METRIC, "Count", START, _one(1.0))
    with pytest.raises(MetricStoreError, match="locked"):
        await store.flush()
    blocker.execute("ROLLBACK")
    blocker.close()
    [(_, _, values)] = await store.points(METRIC, 60, START, START + 60)
    assert values.count == 2


async def test_a_file_that_is_no_database_says_so(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "metrics.db").write_bytes(b"not a database " * 100)
    with pytest.raises(MetricStoreError, match=r"metrics\.db: file is not a database"):
        await MetricStore(tmp_path / "metrics.db", clock).start()


def test_the_coarsest_tier_that_fits_is_read() -> None:
    assert [tier_for(period, 7200) for period in (1, 30, 60, 300, 900, 3600, 86_400)] == [
        1,
        1,
        60,
        300,
        300,
        3600,
        3600,
    ]
    assert tier_for(3600, 7260) == 60
    assert tier_for(3600, 7500) == 300


async def test_a_year_of_an_active_metric_stays_small(tmp_path: Path) -> None:
    """What a year leaves: 15 days by the minute, 63 by five minutes, 365 by the hour, each with its distribution."""
    draw = random.Random(2)
    clock = ManualClock(START)
    store = MetricStore(tmp_path / "metrics.db", clock)
    await store.start()
    for _ in range(60):
        for minute in range(60):
            values = StatisticSet()
            for _ in range(20):
                values.add(draw.lognormvariate(3, 0.3))
            store.put(METRIC, "Milliseconds", clock.now() + 60 * minute, values)
        await store.flush()
        clock.advance(3600)
    await store.close()
    with sqlite3.connect(tmp_path / "metrics.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    per_point = (tmp_path / "metrics.db").stat().st_size / (60 * (60 + 12 + 1))
    points_in_a_year = 15 * 1440 + 63 * 288 + 365 * 24
    assert per_point * points_in_a_year < 10_000_000, per_point * points_in_a_year


def takes_custom(store: MetricStore) -> bool:
    return store.takes_custom


async def test_custom_metrics_are_kept_while_there_is_room_for_them(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    own = MetricId("000000000000", "us-east-1", "AWS/Lambda", "Invocations", ())

    async def count(store: MetricStore, metric: MetricId) -> int:
        return len(await store.points(metric, 60, START, START + 100_000))

    store = MetricStore(tmp_path / "metrics.db", clock, custom_below_bytes=150_000)
    await store.start()
    kept = minute = 0
    while takes_custom(store):
        minute += 60
        store.put(METRIC, "Count", START + minute, _one(minute))
        store.put(own, "Count", START + minute, _one(minute))
        kept = await count(store, METRIC)
        assert minute < 100_000
    assert (await count(store, METRIC), await count(store, own)) == (kept, minute / 60)
    assert store.dropped_points == minute / 60 - kept == 1
    await store.close()
    store = MetricStore(tmp_path / "metrics.db", clock, custom_below_bytes=150_000)
    await store.start()
    assert not takes_custom(store)
    assert len([record for record in caplog.records if "--metric-limit" in record.getMessage()]) == 2  # once each

    clock.advance(500 * 86_400)  # everything there is gets too old
    store.put(own, "Count", clock.now(), _one(1))
    async with asyncio.timeout(20):
        while not takes_custom(store):
            store._full.set()  # the next turn of its upkeep, at once
            await asyncio.sleep(0.01)
    store.put(METRIC, "Count", clock.now(), _one(1))
    assert len(await store.points(METRIC, 3600, int(clock.now()) // 3600 * 3600, int(clock.now()) + 3600)) == 1
    await store.close()
