"""The metric store: everybody writes to it in memory, once a minute it goes to its file, and readers see all of it.

Whatever was recorded is in the file a minute later at most, and when the server stops: a server that is killed loses
no more than its last minute. A question first brings what is in memory to the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

from lambent.model.clock import Clock
from lambent.observability.metrics.database import (
    RETENTION_S,
    Listed,
    MetricDatabase,
    PointKey,
    Usage,
    UsageKey,
)
from lambent.observability.metrics.identity import MetricId
from lambent.observability.metrics.statistics import StatisticSet

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S: Final = 60.0
EXPIRE_INTERVAL_S: Final = 3600.0
BUFFER_MAX: Final = 50_000  # points in memory before they are written ahead of time
DROP_MAX: Final = 200_000  # points in memory, when the file cannot be written, before new ones are dropped
OWN_NAMESPACES: Final = "AWS/"
"""What the names of namespaces begin with that are not custom; nobody but AWS may put metrics there."""

T = TypeVar("T")


class MetricStoreError(Exception):
    """The store's file cannot be read or written; the message says why."""


Batch = tuple[dict[PointKey, StatisticSet], dict[UsageKey, Usage]]


class Source(Protocol):
    """Whoever counts by itself and is asked for it before each write, on the event loop."""

    def collect(self) -> Callable[[], Batch]:
        """What was counted since the last call; the function returned makes points of it, on another thread."""
        ...


class MetricStore:
    """All metrics of this host. `await start()` before, `await close()` after everything else.

    Custom metrics are kept while the file takes less than `custom_below_bytes` (0: always); AWS's own namespaces,
    which have few, in any case.
    """

    def __init__(self, path: Path, clock: Clock, *, custom_below_bytes: int = 0) -> None:
        self.dropped_points = 0
        self.takes_custom = True
        """Whether custom metrics are kept at present."""
        self._custom_below_bytes = custom_below_bytes
        self._path = path
        self._clock = clock
        self._points: dict[PointKey, StatisticSet] = {}
        self._sources: list[Source] = []
        self._unwritten: list[Batch] = []
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._database: MetricDatabase
        self._flushing = asyncio.Lock()
        self._full = asyncio.Event()
        self._upkeep: asyncio.Task[None] | None = None
        self._expired_at = 0.0
        self._failing = False

    async def start(self) -> None:
        """Open the file. Raises MetricStoreError."""
        self._database = await self._in_thread(lambda: MetricDatabase(self._path))
        await self._in_thread(self._look_for_room)
        self._upkeep = asyncio.create_task(self._keep(), name="metrics upkeep")

    async def close(self) -> None:
        """Write what is in memory and let go of the file."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait([self._upkeep])
        try:
            await self.flush()
        except MetricStoreError:
            logger.exception("the last metrics could not be written")
        await self._in_thread(self._database.close)
        self._thread.shutdown()

    def add_source(self, source: Source) -> None:
        """Ask it from now on."""
        self._sources.append(source)

    def put(self, metric: MetricId, unit: str, at_s: float, values: StatisticSet, *, fine: bool = False) -> None:
        """Count values at a time (epoch seconds). `fine`: keep them by the second too. They may be changed by this."""
        second = int(at_s) if fine else int(at_s) // 60 * 60
        key = (metric, unit, second, fine)
        known = self._points.get(key)
        if known is not None:
            known.merge(values)
        elif len(self._points) < DROP_MAX:
            self._points[key] = values
            if len(self._points) == BUFFER_MAX:
                self._full.set()
        else:
            self.dropped_points += 1

    def now(self) -> float:
        """The clock, in epoch seconds."""
        return self._clock.now()

    # Reading. Each raises MetricStoreError.

    async def points(
        self, metric: MetricId, period_s: int, start_s: int, end_s: int
    ) -> list[tuple[int, str, StatisticSet]]:
        """The values of a metric in periods that begin at `start_s`, before `end_s`: start and unit of each period
        with any, in order."""
        await self.flush()
        tier = tier_for(period_s, start_s)

        def read() -> list[tuple[int, str, StatisticSet]]:
            periods: dict[tuple[int, str], StatisticSet] = {}
            for at, unit, values in self._database.points(metric, tier, start_s, end_s):
                start = at - (at - start_s) % period_s
                known = periods.get((start, unit))
                if known is None:
                    periods[start, unit] = values
                else:
                    known.merge(values)
            return [(start, unit, values) for (start, unit), values in sorted(periods.items(), key=lambda one: one[0])]

        return await self._in_thread(read)

    async def series(
        self, account: str, region: str, *, namespace: str | None, name: str | None, since_s: int
    ) -> list[Listed]:
        """The metrics with points since then, by namespace, name and dimensions."""
        await self.flush()
        return await self._in_thread(lambda: self._database.series(account, region, namespace, name, since_s))

    async def usage(
        self, account: str, region: str | None, first_day: int, last_day: int
    ) -> list[tuple[UsageKey, Usage]]:
        """What is billed for these days (since the epoch), both included; of all regions if none is given."""
        await self.flush()
        return await self._in_thread(lambda: self._database.usage(account, region, first_day, last_day))

    # Writing

    async def flush(self) -> None:
        """Bring what was recorded until now to the file. Raises MetricStoreError, and keeps it for the next time."""
        async with self._flushing:
            points, self._points = self._points, {}
            makers = [source.collect() for source in self._sources]
            if points:
                self._unwritten.append((points, {}))
            await self._in_thread(lambda: self._write(makers))

    def _write(self, makers: list[Callable[[], Batch]]) -> None:
        """In the thread. A batch that is not written stays in `_unwritten`."""
        for make in makers:
            points, usage = make()
            if points or usage:
                self._unwritten.append((points, usage))
        while self._unwritten:
            if sum(len(points) for points, _ in self._unwritten) > DROP_MAX:
                dropped = self._unwritten.pop(0)[0]
                self.dropped_points += len(dropped)
                continue
            points, usage = self._unwritten[0]
            self._database.write(points if self._look_for_room() else self._without_custom(points), usage)
            del self._unwritten[0]

    def _look_for_room(self) -> bool:
        """In the thread: whether custom metrics are kept."""
        limit = self._custom_below_bytes
        takes_custom = not limit or self._database.used_bytes() < limit
        if takes_custom != self.takes_custom:
            self.takes_custom = takes_custom
            if takes_custom:
                logger.warning("custom metrics are kept again")
            else:
                logger.warning("metrics take %d bytes on disk (--metric-limit): custom ones are not kept", limit)
        return takes_custom

    def _without_custom(self, points: dict[PointKey, StatisticSet]) -> dict[PointKey, StatisticSet]:
        kept = {key: values for key, values in points.items() if key[0].namespace.startswith(OWN_NAMESPACES)}
        self.dropped_points += len(points) - len(kept)
        return kept

    async def _keep(self) -> None:
        """Flush every minute and expire every hour. What fails is tried again the next time."""
        while True:
            try:
                await self.flush()
                if self._clock.now() - self._expired_at >= EXPIRE_INTERVAL_S:
                    self._expired_at = self._clock.now()
                    await self._in_thread(self._expire)
            except MetricStoreError:
                if not self._failing:
                    logger.exception("metrics cannot be written; they are kept in memory and tried again each minute")
                self._failing = True
            else:
                self._failing = False
            await self._next_turn()

    def _expire(self) -> None:
        self._database.expire(int(self._expired_at))
        self._look_for_room()

    async def _next_turn(self) -> None:
        """In a minute of real time, whatever the clock does: how much a crash may lose is no policy."""
        self._full.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), FLUSH_INTERVAL_S)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise MetricStoreError(f"{self._path}: {error}") from error


def tier_for(period_s: int, start_s: int) -> int:
    """The coarsest tier whose points fall into whole periods that begin at that time."""
    return max(tier for tier in RETENTION_S if period_s % tier == 0 and start_s % tier == 0)
