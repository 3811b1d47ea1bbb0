"""Queues are looked after while something is in them, and only then."""

from __future__ import annotations

import asyncio

from lambent.model.ids import AccountId, Region
from lambent.queues.api import NewMessage
from lambent.queues.memory import MemoryQueues
from lambent.services.sqs.directory import QueueDirectory
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.names import QueueId
from lambent.services.sqs.upkeep import keep_queues
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock


def is_left_alone(clock: ManualClock) -> bool:
    return clock.next_deadline is None


async def test_the_clock_is_left_alone_while_nothing_is_in_any_queue() -> None:
    clock = ManualClock()
    queues, metrics = MemoryQueues(clock), QueueMetrics(clock)
    directory = QueueDirectory(MemoryStore(), clock)
    task = asyncio.create_task(keep_queues(directory, queues, metrics, clock))
    await clock.run_for(86_400)
    assert is_left_alone(clock)

    queue = QueueId(AccountId("000000000000"), Region("us-east-1"), "orders")  # of a queue that is deleted meanwhile
    await queues.send([NewMessage(queue.engine_name, "1", b"x")])
    metrics.sent(queue, 1)
    await clock.run_for(59)
    assert queues.names() == [queue.engine_name]
    await clock.run_for(1)
    assert queues.names() == []
    assert clock.next_deadline == clock.now() + 60  # it was there the last time
    await clock.run_for(60)
    assert is_left_alone(clock)

    task.cancel()
    await asyncio.wait([task])
    directory.close()
    await queues.close()
