"""Handling batches of an SQS queue: invoke, again after throttles, and delete what the function handled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from lambent.event_sources import counts
from lambent.event_sources.batch_response import failed_items
from lambent.event_sources.batches import Batch
from lambent.event_sources.counts import EventCounts
from lambent.event_sources.invoking import Answered, Failed, Invoke, Outcome, Throttled, invoke, trace_header_of
from lambent.event_sources.scaling import Scaling
from lambent.event_sources.sqs_queue import SqsQueue
from lambent.model.arn import FunctionReference
from lambent.model.clock import Clock

logger = logging.getLogger(__name__)

_VISIBILITY_S: Final = 30
_THROTTLE_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class Dues:
    """What goes on by itself at a time to come, for who asks whether anything is left to do."""

    def __init__(self) -> None:
        self.sleeping = 0
        self._times: list[float] = []

    @property
    def next(self) -> float | None:
        """The first of the times."""
        return min(self._times, default=None)

    @property
    def in_windows(self) -> int:
        """How many of them are ends of windows: what nothing is handled for yet."""
        return len(self._times) - self.sleeping

    @contextlib.contextmanager
    def at(self, time: float) -> Iterator[float]:
        """While waiting for that time."""
        self._times.append(time)
        try:
            yield time
        finally:
            self._times.remove(time)

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """While a batch does nothing but wait."""
        self.sleeping += 1
        try:
            yield
        finally:
            self.sleeping -= 1


class SqsHandling:
    """Of one mapping. `stopping`: no batch is begun any more, and none is tried again."""

    def __init__(
        self,
        frontend: Invoke,
        reference: FunctionReference,
        queue: SqsQueue,
        event_counts: EventCounts,
        scaling: Scaling,
        dues: Dues,
        stopping: asyncio.Event,
        clock: Clock,
        *,
        reports_failures: bool,
    ) -> None:
        self._frontend = frontend
        self._reference = reference
        self._queue = queue
        self._counts = event_counts
        self._scaling = scaling
        self._dues = dues
        self._stopping = stopping
        self._clock = clock
        self._reports_failures = reports_failures
        self._visibility_s: int | None = None

    async def handle(self, batches: list[Batch], received_at: float, timeout_s: int) -> None:
        """Batches made of one read, in order. `timeout_s`: the function's."""
        blocked: set[str] = set()
        for number, batch in enumerate(batches):
            if self._stopping.is_set() and number:
                await self._queue.give_back([item.handle for one in batches[number:] for item in one.items])
                return
            await self._handle_one(batch.without_groups(blocked), received_at, timeout_s, blocked)

    async def _handle_one(self, batch: Batch, received_at: float, timeout_s: int, blocked: set[str]) -> None:
        """Invoke, and delete what the function handled. Groups in which something failed are added to `blocked`."""
        if not batch.items:
            return
        outcome = await self._invoke(batch, received_at, timeout_s)
        ids = {item.id for item in batch.items}
        failed = ids
        if isinstance(outcome, Answered):
            failed = set(failed_items(outcome.payload, ids)) if self._reports_failures else set()
        handled = [item.handle for item in batch.items if item.id not in failed]
        blocked |= {item.group for item in batch.items if item.id in failed and item.group is not None}
        if not isinstance(outcome, Throttled):
            self._counts.add(counts.INVOKED, len(ids))
        self._counts.add(counts.FAILED, len(failed))
        if isinstance(outcome, Failed):
            logger.info("a batch failed", extra={"queue": self._queue.url, "reason": outcome.reason})
        if handled:
            self._counts.add(counts.DELETED, await self._queue.delete(handled))

    async def _invoke(self, batch: Batch, received_at: float, timeout_s: int) -> Outcome:
        """Again after a throttle, as long as it makes sense."""
        trace_header = trace_header_of(item.trace_header for item in batch.items)
        payload = batch.payload
        attempt = 0
        while True:
            outcome = await invoke(self._frontend, self._reference, payload, trace_header)
            if not isinstance(outcome, Throttled):
                return outcome
            self._scaling.throttled()
            pause_s = _THROTTLE_PAUSES_S[min(attempt, len(_THROTTLE_PAUSES_S) - 1)]
            attempt += 1
            if self._stopping.is_set() or self._clock.now() + pause_s > await self._last_start(received_at, timeout_s):
                return outcome
            with self._dues.at(self._clock.now() + pause_s), self._dues.asleep():
                await self._clock.sleep(pause_s)

    async def _last_start(self, received_at: float, timeout_s: int) -> float:
        """When the function must have been started to be done before the messages are visible again."""
        if self._visibility_s is None:
            found = await self._queue.visibility_timeout_s()
            self._visibility_s = _VISIBILITY_S if found is None else found
        return received_at + self._visibility_s - timeout_s
