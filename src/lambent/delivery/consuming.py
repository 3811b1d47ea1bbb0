"""Taking what is due from durable queues: one task for each queue that holds anything, bounded, woken and not polling.

What is taken is leased for as long as this process lives: whatever the clock does meanwhile, nobody else is to have it.
A lease that a killed process leaves behind is ended at the next start (`begin`). Whoever handles a message settles it;
if that fails, it is handed back for later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from lambent.model.clock import Clock
from lambent.queues.api import Message, Queues, Rescheduling
from lambent.store.api import StoreFullError
from lambent.store.errors import StoreClosedError, StoreError

logger = logging.getLogger(__name__)

LEASE_S: Final = 10 * 365 * 86_400.0
LINGER_S: Final = 60.0  # real time an empty queue's task waits before it ends
TAKEN_MAX: Final = 64  # at a time
FAILED_PAUSE_S: Final = 60.0  # before a message whose handling failed by a fault of ours is tried again
STORE_PAUSE_S: Final = 1.0


class Pace(Protocol):
    """How much of one queue is handled at once."""

    @property
    def limit(self) -> int:
        """How many at once."""
        ...

    @property
    def is_throttled(self) -> bool:
        """Is only one to be taken, once one ended or patience is over?"""
        ...

    @property
    def patience_s(self) -> float | None:
        """How long to wait, without room, for one to end; None: as long as it takes."""
        ...

    def waited(self) -> None:
        """None ended for so long."""
        ...


class Consumer:
    """One queue's. `handle` settles each message. `slots` bound what is handled of all queues together."""

    def __init__(
        self,
        queues: Queues,
        queue: str,
        handle: Callable[[Message], Awaitable[None]],
        pace: Pace,
        clock: Clock,
        slots: asyncio.Semaphore,
    ) -> None:
        self.queue = queue
        self.in_flight: set[asyncio.Task[None]] = set()
        self.paused_until: float | None = None
        self._queues = queues
        self._handle = handle
        self._pace = pace
        self._clock = clock
        self._slots = slots
        self._ended = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Does it wait for what comes, or for a later time?"""
        return not self.in_flight and (self.paused_until is not None or self._queues.is_resting(self.queue))

    @property
    def next_due(self) -> float | None:
        """When it goes on by itself."""
        due = self.paused_until or self._queues.next_due(self.queue)
        if due is None or due - self._clock.now() > LEASE_S / 2:  # the end of a lease of ours
            return None
        return due

    async def run(self) -> None:
        """Until the queue is empty."""
        while True:
            limit = min(await self._room(), TAKEN_MAX)
            try:
                messages = await self._queues.receive(self.queue, lease_s=LEASE_S, limit=limit, wait_s=LINGER_S)
            except StoreClosedError:
                return
            except (StoreError, StoreFullError):
                logger.exception("a queue cannot be read", extra={"queue": self.queue})
                await self._pause(STORE_PAUSE_S)
                continue
            if not messages and not self.in_flight and not self._queues.depth(self.queue):
                return
            for message in messages:
                await self._slots.acquire()
                self._start(message)

    async def _room(self) -> int:
        """How many may be taken, once any may."""
        while True:
            self._ended.clear()
            room = self._pace.limit - len(self.in_flight)
            if room > 0 and not self._pace.is_throttled:
                return room
            if not await self._one_ended(self._pace.patience_s):
                self._pace.waited()
                if self._pace.is_throttled:
                    return 1

    async def _one_ended(self, patience_s: float | None) -> bool:
        """Wait until one ended. False: none did for so long."""
        if patience_s is None:
            return await self._ended.wait()
        pause = asyncio.create_task(self._pause(patience_s))
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({pause, ended}, return_when=asyncio.FIRST_COMPLETED)
            return ended.done()
        finally:
            pause.cancel()
            ended.cancel()

    async def _pause(self, seconds: float) -> None:
        self.paused_until = self._clock.now() + seconds
        try:
            await self._clock.sleep(seconds)
        finally:
            self.paused_until = None

    def _start(self, message: Message) -> None:
        task = asyncio.create_task(self._supervised(message), name=f"handle a message of {self.queue}")
        self.in_flight.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.in_flight.discard(task)
        self._slots.release()
        self._ended.set()

    async def _supervised(self, message: Message) -> None:
        try:
            await self._handle(message)
        except Exception:
            logger.exception("a message could not be handled", extra={"queue": self.queue, "message_id": message.id})
            await self._hand_back(message)

    async def _hand_back(self, message: Message) -> None:
        """For later; as soon as that can be written, where the disk is full."""
        while True:
            try:
                await self._queues.reschedule([Rescheduling(message.receipt, FAILED_PAUSE_S)])
            except StoreClosedError:
                return  # the server stops: the next one takes it up
            except (StoreError, StoreFullError):
                logger.exception("a message cannot be handed back yet", extra={"message_id": message.id})
                await self._clock.sleep(FAILED_PAUSE_S)
            else:
                return


class Consumers:
    """Those of all queues whose name begins with a prefix. `make` makes the one of a queue.

    Implements `model.idle.Activity`.
    """

    def __init__(self, queues: Queues, prefix: str, name: str, make: Callable[[str], Consumer]) -> None:
        self.name = name
        self._queues = queues
        self._prefix = prefix
        self._make = make
        self._running: dict[str, tuple[Consumer, asyncio.Task[None]]] = {}
        self._closing = False

    async def begin(self) -> None:
        """Take up what an earlier process left."""
        for queue in self._queues.names(self._prefix):
            await self._queues.release(queue)
            self.ensure(queue)

    def ensure(self, queue: str) -> None:
        """There is something in this queue: see to it."""
        if queue not in self._running and not self._closing:
            consumer = self._make(queue)
            task = asyncio.create_task(self._run(consumer), name=f"take from {queue}")
            self._running[queue] = (consumer, task)

    @property
    def in_flight(self) -> int:
        """How many messages are handled now."""
        return sum(len(consumer.in_flight) for consumer, _ in self._running.values())

    def is_idle(self) -> bool:
        """See `model.idle.Activity`."""
        if not all(consumer.is_idle for consumer, _ in self._running.values()):
            return False
        return all(queue in self._running for queue in self._queues.names(self._prefix))

    def next_due(self) -> float | None:
        """See `model.idle.Activity`."""
        dues = (consumer.next_due for consumer, _ in self._running.values())
        return min((due for due in dues if due is not None), default=None)

    @property
    def is_empty(self) -> bool:
        """Does nothing wait, not even for a later time?"""
        return not self._queues.names(self._prefix)

    async def stop_taking(self) -> None:
        """Take nothing more; what is handled goes on."""
        self._closing = True
        loops = [task for _, task in self._running.values()]
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    async def close(self) -> None:
        """End what is still handled: it is taken up again at the next start."""
        await self.stop_taking()
        handled = [task for consumer, _ in self._running.values() for task in consumer.in_flight]
        for task in handled:
            task.cancel()
        await asyncio.gather(*handled, return_exceptions=True)
        self._running.clear()

    async def _run(self, consumer: Consumer) -> None:
        try:
            await consumer.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("the task of a queue failed", extra={"queue": consumer.queue})
        if not self._closing:
            del self._running[consumer.queue]
