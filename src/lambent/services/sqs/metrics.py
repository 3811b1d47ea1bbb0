"""The metrics in AWS/SQS: what was sent, received and deleted, and how much waits.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
Counted in memory and collected by the metric store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lambent.model.clock import Clock
from lambent.observability.metrics.database import PointKey
from lambent.observability.metrics.identity import MetricId
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import Batch
from lambent.queues.api import Statistics
from lambent.services.sqs.names import QueueId

NAMESPACE: Final = "AWS/SQS"
_UNITS: Final = {"SentMessageSize": "Bytes", "ApproximateAgeOfOldestMessage": "Seconds"}

_Key = tuple[QueueId, str, int]


class QueueMetrics:
    """Implements `observability.metrics.store.Source`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tallies: dict[_Key, StatisticSet] = {}
        self.something_sent = asyncio.Event()
        """Set when something is sent; for `upkeep` to clear and wait for."""

    def sent(self, queue: QueueId, size: int) -> None:
        self.something_sent.set()
        self._count(queue, "NumberOfMessagesSent", 1)
        self._count(queue, "SentMessageSize", size)

    def received(self, queue: QueueId, count: int) -> None:
        if count:
            self._count(queue, "NumberOfMessagesReceived", count)
        else:
            self._count(queue, "NumberOfEmptyReceives", 1)

    def deleted(self, queue: QueueId, count: int) -> None:
        if count:
            self._count(queue, "NumberOfMessagesDeleted", count)

    def waiting(self, queue: QueueId, statistics: Statistics) -> None:
        """What waits in a queue now."""
        self._count(queue, "ApproximateNumberOfMessagesVisible", statistics.visible)
        self._count(queue, "ApproximateNumberOfMessagesNotVisible", statistics.in_flight)
        self._count(queue, "ApproximateNumberOfMessagesDelayed", statistics.delayed)
        oldest_ms = statistics.oldest_sent_ms
        age_s = self._clock.now() - oldest_ms / 1000 if oldest_ms is not None else 0.0
        self._count(queue, "ApproximateAgeOfOldestMessage", max(0.0, round(age_s)))

    def collect(self) -> Callable[[], Batch]:
        """See `Source`."""
        tallies, self._tallies = self._tallies, {}

        def points() -> Batch:
            found: dict[PointKey, StatisticSet] = {}
            for (queue, name, minute), values in tallies.items():
                dimensions = (("QueueName", queue.name),)
                metric = MetricId(queue.account, queue.region, NAMESPACE, name, dimensions)
                found[metric, _UNITS.get(name, "Count"), minute, False] = values
            return found, {}

        return points

    def _count(self, queue: QueueId, name: str, value: float) -> None:
        key = (queue, name, int(self._clock.now()) // 60 * 60)
        values = self._tallies.get(key)
        if values is None:
            values = self._tallies[key] = StatisticSet()
        values.add(value)
