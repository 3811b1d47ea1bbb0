"""What is to be sent, kept until it was: a durable queue for each function, and its deliveries with their retries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from lambent.aws_client.errors import AwsCallError, AwsError
from lambent.delivery.consuming import Consumer, Consumers
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.clock import Clock
from lambent.model.ids import AccountId, Region
from lambent.queues.api import Message, NewMessage, Queues, Rescheduling

logger = logging.getLogger(__name__)

QUEUE_PREFIX: Final = "delivery/"
PER_FUNCTION: Final = 16  # sent at once
AT_ONCE: Final = 64
RETRY_MIN_S: Final = 1.0
RETRY_MAX_S: Final = 300.0
GIVEN_UP_AFTER_S: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to send. `target` is an ARN; `role_arn` is whose permission it needs.

    A dead-letter message has `error_code` and `error_message`, an invocation record has none; `at` is when the event
    ended (epoch seconds).
    """

    reference: FunctionReference
    request_id: str
    target: str
    role_arn: str
    body: bytes
    succeeded: bool
    at: float
    trace_header: str | None = None
    error_code: int | None = None
    error_message: str | None = None

    @property
    def is_dead_letter(self) -> bool:
        return self.error_code is not None

    def to_message(self) -> NewMessage:
        """As it is queued."""
        head = {
            "qualifier": self.reference.qualifier,
            "target": self.target,
            "role_arn": self.role_arn,
            "succeeded": self.succeeded,
            "at": self.at,
            "trace_header": self.trace_header,
            "error_code": self.error_code,
            "error_message": self.error_message,
        }
        queue = f"{QUEUE_PREFIX}{self.reference.function.key}"
        return NewMessage(queue, self.request_id, orjson.dumps(head) + b"\n" + self.body)

    @staticmethod
    def from_message(message: Message) -> Delivery:
        """The inverse."""
        line, _, body = message.body.partition(b"\n")
        head = orjson.loads(line)
        account, region, name = message.receipt.queue.removeprefix(QUEUE_PREFIX).split("/")
        reference = FunctionReference(FunctionId(AccountId(account), Region(region), name), head.pop("qualifier"))
        return Delivery(reference=reference, request_id=message.id, body=body, **head)


Send = Callable[[Delivery], Awaitable[None]]
"""What sends; see `sender`. Raises AwsCallError."""


class DeliveryObserver(Protocol):
    """Told of failures, for metrics."""

    def delivery_failed(self, reference: FunctionReference, *, dead_letter: bool) -> None:
        """An attempt to send failed."""
        ...


class _Fixed:
    """The pace of every function's deliveries."""

    limit = PER_FUNCTION
    is_throttled = False
    patience_s = None

    def waited(self) -> None:
        """See `consuming.Pace`."""


class Outbox:
    """`begin` before use; `close` after."""

    def __init__(self, queues: Queues, send: Send, clock: Clock, observer: DeliveryObserver) -> None:
        self._queues = queues
        self._send = send
        self._clock = clock
        self._observer = observer
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.consumers = Consumers(queues, QUEUE_PREFIX, "deliveries", self._consumer)

    async def put(self, deliveries: Sequence[Delivery]) -> None:
        """Returns when they are on disk, all or none. Raises StoreError, StoreFullError."""
        messages = [delivery.to_message() for delivery in deliveries]
        await self._queues.send(messages)
        for message in messages:
            self.consumers.ensure(message.queue)

    def depth(self) -> int:
        """How many wait or are being sent."""
        return sum(self._queues.depth(queue) for queue in self._queues.names(QUEUE_PREFIX))

    def _consumer(self, queue: str) -> Consumer:
        return Consumer(self._queues, queue, self._deliver, _Fixed(), self._clock, self._slots)

    async def _deliver(self, message: Message) -> None:
        delivery = Delivery.from_message(message)
        try:
            await self._send(delivery)
        except AwsCallError as error:
            self._observer.delivery_failed(delivery.reference, dead_letter=delivery.is_dead_letter)
            await self._failed(message, delivery, error)
            return
        await self._queues.acknowledge([message.receipt])

    async def _failed(self, message: Message, delivery: Delivery, error: AwsCallError) -> None:
        age_s = self._clock.now() - message.sent_ms / 1000
        extra = {
            "function": delivery.reference.arn,
            "request_id": delivery.request_id,
            "target": delivery.target,
            "reason": str(error),
        }
        if not may_pass(error) or age_s >= GIVEN_UP_AFTER_S:
            logger.error("a record of an asynchronous invocation is lost: its target does not take it", extra=extra)
            await self._queues.acknowledge([message.receipt])
            return
        delay_s = min(RETRY_MAX_S, RETRY_MIN_S * 2.0 ** min(message.receives - 1, 16))
        logger.warning("a record of an asynchronous invocation is sent again later", extra=extra | {"in_s": delay_s})
        await self._queues.reschedule([Rescheduling(message.receipt, delay_s)])


def may_pass(error: AwsCallError) -> bool:
    """May the same be taken later? Not where nobody answers that API, or a permission or the target is missing."""
    return error.retryable and not (isinstance(error, AwsError) and error.status == 501)
