"""ReceiveMessage."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

from lambent.aws.context import Params, RequestContext
from lambent.model.clock import Clock
from lambent.model.errors import ServiceError
from lambent.queues.api import InFlightLimitError, Message, Queues, Redrive
from lambent.services.sqs.attributes import VISIBILITY_MAX_S, WAIT_MAX_S
from lambent.services.sqs.directory import Queue, QueueDirectory
from lambent.services.sqs.errors import invalid_value
from lambent.services.sqs.message_rules import check_token
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.receipt_handles import handle_text
from lambent.services.sqs.stored_messages import shown_attributes, shown_message

IN_FLIGHT_MAX: Final = 120_000
_MESSAGES_MAX: Final = 10


class Receiving:
    """The operation that receives."""

    def __init__(self, directory: QueueDirectory, queues: Queues, metrics: QueueMetrics, clock: Clock) -> None:
        self._directory = directory
        self._queues = queues
        self._metrics = metrics
        self._clock = clock

    async def receive_message(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""
        queue = await self._directory.named(ctx, params, shared_as="ReceiveMessage")
        limit = _within("MaxNumberOfMessages", params, 1, _MESSAGES_MAX, 1)
        lease_s = _within("VisibilityTimeout", params, 0, VISIBILITY_MAX_S, queue.visibility_s)
        wait_s = _within("WaitTimeSeconds", params, 0, WAIT_MAX_S, queue.wait_s)
        attempt = params.get("ReceiveRequestAttemptId")
        if attempt:
            check_token("ReceiveRequestAttemptId", attempt)
        messages = await self._receive(ctx, queue, limit, lease_s, wait_s, attempt)
        self._metrics.received(queue.id, len(messages))
        if not messages:
            return {}
        received_ms = int(self._clock.now() * 1000)
        system_names = [*(params.get("MessageSystemAttributeNames") or ()), *(params.get("AttributeNames") or ())]
        shown = shown_attributes(params.get("MessageAttributeNames") or ())
        return {
            "Messages": [
                shown_message(message, handle_text(queue.id, message.receipt, received_ms), system_names, shown)
                for message in messages
            ]
        }

    async def _receive(
        self, ctx: RequestContext, queue: Queue, limit: int, lease_s: int, wait_s: int, attempt: str | None
    ) -> list[Message]:
        receiving = self._queues.receive(
            queue.id.engine_name,
            limit=limit,
            lease_s=lease_s,
            wait_s=wait_s,
            redrive=await self._redrive(queue),
            retention_s=queue.retention_s,
            in_flight_max=IN_FLIGHT_MAX,
            attempt=attempt if queue.id.is_fifo else None,
        )
        try:
            return await (receiving if not wait_s else _unless_hung_up(ctx, receiving))
        except InFlightLimitError:
            if queue.id.is_fifo:
                return []
            raise ServiceError(
                "OverLimit", f"Too many messages are in flight: the limit is {IN_FLIGHT_MAX}.", status=403
            ) from None

    async def _redrive(self, queue: Queue) -> Redrive | None:
        """None also while the dead-letter queue does not exist: messages are not moved into nowhere."""
        policy = queue.redrive
        if policy is None or await self._directory.find(policy.target) is None:
            return None
        return Redrive(policy.target.engine_name, policy.max_receives)


async def _unless_hung_up(ctx: RequestContext, receiving: Coroutine[None, None, list[Message]]) -> list[Message]:
    """Waits; a client that hangs up gets nothing and takes nothing."""
    task = asyncio.create_task(receiving)
    is_gone = False

    def hang_up() -> None:
        nonlocal is_gone
        is_gone = True
        task.cancel()

    ctx.on_disconnect(hang_up)
    try:
        return await task
    except asyncio.CancelledError:
        if is_gone and task.cancelled():
            return []
        raise


def _within(name: str, params: Params, least: int, most: int, default: int) -> int:
    value: int | None = params.get(name)
    if value is None:
        return default
    if not least <= value <= most:
        reason = (
            f"Must be between {least} and {most}, if provided."
            if name != "WaitTimeSeconds"
            else f"Must be >= {least} and <= {most}, if provided."
        )
        raise invalid_value(name, value, reason)
    return value
