"""DeleteMessage and ChangeMessageVisibility, alone and in batches."""

from __future__ import annotations

from collections.abc import Sequence

from lambent.aws.context import Params, RequestContext
from lambent.model.clock import Clock
from lambent.model.errors import ServiceError
from lambent.queues.api import Extension, Queues, Settled
from lambent.services.sqs.attributes import VISIBILITY_MAX_S
from lambent.services.sqs.batches import check_entries, failure, sort_out
from lambent.services.sqs.directory import Queue, QueueDirectory
from lambent.services.sqs.errors import invalid_value, missing_parameter
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.receipt_handles import Handle, read_handle


class Settling:
    """The operations on receipt handles."""

    def __init__(self, directory: QueueDirectory, queues: Queues, metrics: QueueMetrics, clock: Clock) -> None:
        self._directory = directory
        self._queues = queues
        self._metrics = metrics
        self._clock = clock

    async def delete_message(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html"""
        queue = await self._directory.named(ctx, params, shared_as="DeleteMessage")
        [error] = await self._delete(queue, [_handle(queue, params)], [params])
        if error is not None:
            raise error
        return {}

    async def delete_message_batch(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html"""
        queue = await self._directory.named(ctx, params, shared_as="DeleteMessage")
        entries = check_entries(params, "DeleteMessageBatchRequestEntry")
        good, failed = sort_out(entries, lambda entry: (_handle(queue, entry), entry))
        errors = await self._delete(queue, [handle for _, (handle, _) in good], [entry for _, (_, entry) in good])
        return _batch_answer([entry_id for entry_id, _ in good], errors, failed)

    async def _delete(
        self, queue: Queue, handles: Sequence[Handle], entries: Sequence[Params]
    ) -> list[ServiceError | None]:
        """Deleting what is gone succeeds, as does an old handle; a FIFO queue wants the lease to last."""
        is_fifo = queue.id.is_fifo
        settled = await self._queues.acknowledge([one.receipt for one in handles], leased_only=is_fifo)
        self._metrics.deleted(queue.id, sum(one is Settled.DONE for one in settled))
        return [
            invalid_value("ReceiptHandle", entry["ReceiptHandle"], "The receipt handle has expired.")
            if is_fifo and one in (Settled.EXPIRED, Settled.STALE)
            else None
            for one, entry in zip(settled, entries, strict=True)
        ]

    async def change_message_visibility(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html"""
        queue = await self._directory.named(ctx, params, shared_as="ChangeMessageVisibility")
        [error] = await self._extend([self._extension(queue, params)], [params])
        if error is not None:
            raise error
        return {}

    async def change_message_visibility_batch(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html"""
        queue = await self._directory.named(ctx, params, shared_as="ChangeMessageVisibility")
        entries = check_entries(params, "ChangeMessageVisibilityBatchRequestEntry")
        good, failed = sort_out(entries, lambda entry: (self._extension(queue, entry), entry))
        errors = await self._extend([one for _, (one, _) in good], [entry for _, (_, entry) in good])
        return _batch_answer([entry_id for entry_id, _ in good], errors, failed)

    def _extension(self, queue: Queue, params: Params) -> Extension:
        handle = _handle(queue, params)
        timeout_s: int | None = params.get("VisibilityTimeout")
        if timeout_s is None:
            raise missing_parameter("VisibilityTimeout")
        if not 0 <= timeout_s <= VISIBILITY_MAX_S:
            reason = f"VisibilityTimeout must be an integer between 0 and {VISIBILITY_MAX_S}."
            raise invalid_value("VisibilityTimeout", timeout_s, reason)
        if self._clock.now() + timeout_s > handle.received_ms / 1000 + VISIBILITY_MAX_S + 1:
            text = f"Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_MAX_S} seconds]"
            raise invalid_value("VisibilityTimeout", timeout_s, text)
        return Extension(handle.receipt, timeout_s)

    async def _extend(self, extensions: Sequence[Extension], entries: Sequence[Params]) -> list[ServiceError | None]:
        settled = await self._queues.extend(extensions)
        return [_not_extended(one, entry["ReceiptHandle"]) for one, entry in zip(settled, entries, strict=True)]


def _not_extended(settled: Settled, handle: str) -> ServiceError | None:
    if settled is Settled.DONE:
        return None
    if settled is Settled.EXPIRED:
        return ServiceError("MessageNotInflight", f"The message referred to by {handle} isn't in flight.")
    return invalid_value(
        "ReceiptHandle", handle, "Message does not exist or is not available for visibility timeout change."
    )


def _handle(queue: Queue, params: Params) -> Handle:
    text: str | None = params.get("ReceiptHandle")
    if not text:
        raise missing_parameter("ReceiptHandle")
    return read_handle(queue.id, text)


def _batch_answer(ids: Sequence[str], errors: Sequence[ServiceError | None], failed: list[Params]) -> Params:
    successful = [{"Id": entry_id} for entry_id, error in zip(ids, errors, strict=True) if error is None]
    failed += [failure(entry_id, error) for entry_id, error in zip(ids, errors, strict=True) if error is not None]
    return {"Successful": successful, "Failed": failed}
