"""The file of the metric store: SQLite, used from one thread.

Every datum is in every tier, so that a question is answered from the coarsest tier that fits its period, and late data
need no second roll-up: one minute for 15 days, five minutes for 63 days, one hour for 455 days, as CloudWatch keeps
them, and one second for 3 hours of what was put with a StorageResolution of 1
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#metrics-retention).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambent.observability.metrics.identity import MetricId, dimensions_from_text
from lambent.observability.metrics.sketch import bucket_of, pack, unpack
from lambent.observability.metrics.statistics import StatisticSet

HOUR_S: Final = 3600
DAY_S: Final = 86_400
RETENTION_S: Final[Mapping[int, int]] = {1: 3 * HOUR_S, 60: 15 * DAY_S, 300: 63 * DAY_S, 3600: 455 * DAY_S}
"""Seconds of a tier's points → how long they are kept, in seconds."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    dimensions TEXT NOT NULL, last_s INTEGER NOT NULL, UNIQUE (account, region, namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS points (
    tier INTEGER NOT NULL, series INTEGER NOT NULL, start_s INTEGER NOT NULL, unit TEXT NOT NULL,
    count REAL NOT NULL, total REAL NOT NULL, minimum REAL NOT NULL, maximum REAL NOT NULL, buckets BLOB,
    PRIMARY KEY (tier, series, start_s, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage (
    account TEXT NOT NULL, region TEXT NOT NULL, day INTEGER NOT NULL, function TEXT NOT NULL,
    architecture TEXT NOT NULL, requests INTEGER NOT NULL, mb_ms INTEGER NOT NULL, storage_mb_ms INTEGER NOT NULL,
    PRIMARY KEY (account, region, day, function, architecture)
) WITHOUT ROWID;
"""
_UNKNOWN: Final = b""  # a distribution that is not known; NULL: every value is the minimum

PointKey = tuple[MetricId, str, int, bool]
"""Metric, unit, second (of the minute, unless of high resolution), is it of high resolution?"""

UsageKey = tuple[str, str, int, str, str]
"""Account, region, day (since the epoch), function, architecture."""


@dataclass(slots=True)
class Usage:
    """What is billed: invocations, megabytes of memory times billed milliseconds, and the same for storage in /tmp
    beyond what is free."""

    requests: int = 0
    mb_ms: int = 0
    storage_mb_ms: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A metric as listed: `last_s` is the time of its newest point."""

    id: int
    metric: MetricId
    last_s: int


class MetricDatabase:
    """Open until `close`. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._series: dict[MetricId, int] = {}

    def close(self) -> None:
        self._db.close()

    def used_bytes(self) -> int:
        """What the file has in use; it may be longer."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def write(self, points: Mapping[PointKey, StatisticSet], usage: Mapping[UsageKey, Usage]) -> None:
        """Add these to what is there: all of it, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._write_points(points)
            for key, used in usage.items():
                self._db.execute(
                    "INSERT INTO usage VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET requests=requests+"
                    "excluded.requests, mb_ms=mb_ms+excluded.mb_ms, storage_mb_ms=storage_mb_ms+excluded.storage_mb_ms",
                    (*key, used.requests, used.mb_ms, used.storage_mb_ms),
                )
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._series.clear()  # some may have been given ids that are rolled back
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write_points(self, points: Mapping[PointKey, StatisticSet]) -> None:
        merged: dict[tuple[int, int, int, str], StatisticSet] = {}
        newest: dict[int, int] = {}
        for number, ((metric, unit, second, is_fine), values) in enumerate(points.items()):
            make_way(number)
            series = self._series_id(metric, second)
            newest[series] = max(second, newest.get(series, 0))
            for tier in RETENTION_S:
                if tier > 1 or is_fine:
                    key = (tier, series, second - second % tier, unit)
                    merged.setdefault(key, StatisticSet()).merge(values)
        for number, (key, values) in enumerate(merged.items()):
            make_way(number)
            for row in self._db.execute(
                "SELECT count, total, minimum, maximum, buckets FROM points"
                " WHERE tier=? AND series=? AND start_s=? AND unit=?",
                key,
            ):
                values.merge(_from_row(row))
            self._db.execute("INSERT OR REPLACE INTO points VALUES (?,?,?,?,?,?,?,?,?)", (*key, *_to_row(values)))
        updates = [(second, series) for series, second in newest.items()]
        self._db.executemany("UPDATE series SET last_s=MAX(last_s, ?) WHERE id=?", updates)

    def _series_id(self, metric: MetricId, second: int) -> int:
        known = self._series.get(metric)
        if known is None:
            if len(self._series) > 100_000:
                self._series.clear()
            names = (metric.account, metric.region, metric.namespace, metric.name, metric.dimensions_text)
            self._db.execute(
                "INSERT INTO series (account, region, namespace, name, dimensions, last_s) VALUES (?,?,?,?,?,?)"
                " ON CONFLICT DO NOTHING",
                (*names, second),
            )
            known = self._series[metric] = self._find(metric) or 0
        return known

    def _find(self, metric: MetricId) -> int | None:
        names = (metric.account, metric.region, metric.namespace, metric.name, metric.dimensions_text)
        row = self._db.execute(
            "SELECT id FROM series WHERE account=? AND region=? AND namespace=? AND name=? AND dimensions=?", names
        ).fetchone()
        return None if row is None else int(row[0])

    def points(self, metric: MetricId, tier: int, start_s: int, end_s: int) -> Iterator[tuple[int, str, StatisticSet]]:
        """Start, unit and values of a metric's points from `start_s` (inclusive) to `end_s` (exclusive), in order."""
        series = self._find(metric)
        rows = self._db.execute(
            "SELECT start_s, unit, count, total, minimum, maximum, buckets FROM points"
            " WHERE tier=? AND series=? AND start_s>=? AND start_s<? ORDER BY start_s, unit",
            (tier, series, start_s, end_s),
        )
        for start, unit, *row in rows:
            yield start, unit, _from_row(tuple(row))

    def series(self, account: str, region: str, namespace: str | None, name: str | None, since_s: int) -> list[Listed]:
        """An account's metrics with points since then, by namespace, name and dimensions."""
        rows = self._db.execute(
            "SELECT id, namespace, name, dimensions, last_s FROM series WHERE account=? AND region=?"
            " AND namespace=IFNULL(?, namespace) AND name=IFNULL(?, name) AND last_s>=?"
            " ORDER BY namespace, name, dimensions",
            (account, region, namespace, name, since_s),
        )
        return [
            Listed(number, MetricId(account, region, space, metric, dimensions_from_text(dimensions)), last)
            for number, space, metric, dimensions, last in rows
        ]

    def usage(self, account: str, region: str | None, first_day: int, last_day: int) -> list[tuple[UsageKey, Usage]]:
        """An account's usage on these days, both included, in order of day and function."""
        rows = self._db.execute(
            "SELECT * FROM usage WHERE account=? AND region=IFNULL(?, region) AND day BETWEEN ? AND ?"
            " ORDER BY day, function, region, architecture",
            (account, region, first_day, last_day),
        )
        return [(tuple(row[:5]), Usage(*row[5:])) for row in rows]

    def expire(self, now_s: int) -> None:
        """Remove what is older than its tier is kept, and metrics of which nothing is left."""
        for tier, kept_s in RETENTION_S.items():
            self._db.execute("DELETE FROM points WHERE tier=? AND start_s<?", (tier, now_s - kept_s))
        self._db.execute("DELETE FROM series WHERE last_s<?", (now_s - max(RETENTION_S.values()),))
        self._series.clear()


def make_way(number: int) -> None:
    """In a long loop on a thread: let go of the interpreter every few turns, for the event loop to go on at once."""
    if not number % 32:
        time.sleep(0.0001)


def _to_row(values: StatisticSet) -> tuple[float, float, float, float, bytes | None]:
    buckets: bytes | None = None
    if values.minimum != values.maximum:
        buckets = _UNKNOWN if values.buckets is None else pack(values.buckets)
    return values.count, values.total, values.minimum, values.maximum, buckets


def _from_row(row: tuple[float, float, float, float, bytes | None]) -> StatisticSet:
    count, total, minimum, maximum, packed = row
    if packed is None:
        buckets = {bucket_of(minimum): count} if minimum >= 0 else None
    else:
        buckets = unpack(packed) if packed else None
    return StatisticSet(count, total, minimum, maximum, buckets)
