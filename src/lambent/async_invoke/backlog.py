"""How much waits: the events of each function, and how old the oldest is."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.async_invoke.events import QUEUE_PREFIX, function_of
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.queues.api import Queues


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of one function: events that wait or run, and the age of the oldest."""

    events: int
    oldest_age_s: float


class Backlogs:
    """Reads them from the queues."""

    def __init__(self, queues: Queues, clock: Clock) -> None:
        self._queues = queues
        self._clock = clock

    async def read(self) -> dict[FunctionId, Backlog]:
        """Of every function that has events."""
        found = {}
        for queue in self._queues.names(QUEUE_PREFIX):
            statistics = await self._queues.statistics(queue)
            if statistics.oldest_sent_ms is not None:
                age_s = max(0.0, self._clock.now() - statistics.oldest_sent_ms / 1000)
                events = statistics.visible + statistics.in_flight + statistics.delayed
                found[function_of(queue)] = Backlog(events, age_s)
        return found
