"""What happens to queues once a minute: messages that were kept long enough are deleted, what waits is measured.

As long as nothing is in any queue nothing happens: a message comes into one by being sent, or from another queue.
"""

from __future__ import annotations

import logging
from typing import Final

from lambent.model.clock import Clock
from lambent.queues.api import Queues
from lambent.services.sqs.directory import QueueDirectory
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.names import ENGINE_PREFIX, queue_of_key
from lambent.store.api import StoreFullError
from lambent.store.errors import StoreClosedError, StoreError

logger = logging.getLogger(__name__)

_EVERY_S: Final = 60.0
_EXPIRED_AT_A_TIME: Final = 1000


async def keep_queues(directory: QueueDirectory, queues: Queues, metrics: QueueMetrics, clock: Clock) -> None:
    """For ever."""
    measured: set[str] = set()
    while True:
        rests = False
        metrics.something_sent.clear()
        try:
            measured = await look_after(directory, queues, metrics, measured)
            rests = not measured
        except StoreClosedError:
            return
        except (StoreError, StoreFullError) as error:
            logger.warning("queues cannot be looked after now", extra={"reason": str(error)})
        if rests:
            await metrics.something_sent.wait()
        await clock.sleep(_EVERY_S)


async def look_after(directory: QueueDirectory, queues: Queues, metrics: QueueMetrics, measured: set[str]) -> set[str]:
    """Once. `measured`: the queues measured the last time, which are measured once more when they are empty now."""
    waiting = queues.names(ENGINE_PREFIX)
    for name in {*waiting, *measured}:
        queue = await directory.find(queue_of_key(name))
        if queue is None:  # sent to while it was being deleted
            await queues.drop(name)
            continue
        while await queues.expire(name, queue.retention_s, _EXPIRED_AT_A_TIME) == _EXPIRED_AT_A_TIME:
            pass
        metrics.waiting(queue.id, await queues.statistics(name))
    return set(waiting)
