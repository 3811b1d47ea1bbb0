"""SendMessage and SendMessageBatch."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.model.errors import ServiceError
from lambent.model.ids import new_request_id
from lambent.model.tracing import parse_trace_header
from lambent.queues.api import NewMessage, Queues, Sent
from lambent.services.sqs.attributes import DELAY_MAX_S, MESSAGE_MAX_BYTES
from lambent.services.sqs.batches import check_entries, sort_out
from lambent.services.sqs.directory import Queue, QueueDirectory
from lambent.services.sqs.errors import invalid_parameter, invalid_value, missing_parameter
from lambent.services.sqs.message_rules import (
    check_body,
    check_message_attributes,
    check_system_attributes,
    check_token,
    md5,
    md5_of_attributes,
    size_of,
)
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.stored_messages import Details, sequence_number

_INLINE_MAX_CHARACTERS: Final = 128 * 1024
"""More than this is checked and digested in a thread: MD5 takes a millisecond for 700 KB, and lets go of the lock."""

_NOT_FOR_THIS_TYPE: Final = "The request include parameter that is not valid for this queue type"


@dataclass(frozen=True, slots=True)
class _Body:
    content: bytes
    md5: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message ready for the engine, and what its sender is told."""

    message: NewMessage
    size: int
    answer: dict[str, Any]


class Sending:
    """The operations that send."""

    def __init__(self, directory: QueueDirectory, queues: Queues, metrics: QueueMetrics) -> None:
        self._directory = directory
        self._queues = queues
        self._metrics = metrics

    async def send_message(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
        queue = await self._directory.named(ctx, params, shared_as="SendMessage")
        [body] = await _bodies([params])
        prepared = _prepare(queue, ctx, params, body)
        [sent] = await self._queues.send([prepared.message])
        self._metrics.sent(queue.id, prepared.size)
        return _answer(queue, prepared, sent)

    async def send_message_batch(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
        queue = await self._directory.named(ctx, params, shared_as="SendMessage")
        entries = check_entries(params, "SendMessageBatchRequestEntry")
        bodies = {entry["Id"]: body for entry, body in zip(entries, await _bodies(entries), strict=True)}
        good, failed = sort_out(entries, lambda entry: _prepare(queue, ctx, entry, bodies[entry["Id"]]))
        total = sum(prepared.size for _, prepared in good)
        if total > MESSAGE_MAX_BYTES:
            text = f"Batch requests cannot be longer than {MESSAGE_MAX_BYTES} bytes. You have sent {total} bytes."
            raise ServiceError("BatchRequestTooLong", text)
        sent = await self._queues.send([prepared.message for _, prepared in good]) if good else []
        for _, prepared in good:
            self._metrics.sent(queue.id, prepared.size)
        successful = [
            {"Id": entry_id, **_answer(queue, prepared, one)}
            for (entry_id, prepared), one in zip(good, sent, strict=True)
        ]
        return {"Successful": successful, "Failed": failed}


async def _bodies(messages: Sequence[Params]) -> list[_Body | ServiceError]:
    """Their bodies in UTF-8, or what SQS answers for them."""
    if sum(len(message.get("MessageBody") or "") for message in messages) > _INLINE_MAX_CHARACTERS:
        return await asyncio.to_thread(lambda: list(map(_body, messages)))
    return list(map(_body, messages))


def _body(params: Params) -> _Body | ServiceError:
    try:
        content = check_body(params.get("MessageBody"))
    except ServiceError as error:
        return error
    return _Body(content, md5(content).hexdigest())


def _prepare(queue: Queue, ctx: RequestContext, params: Params, checked: _Body | ServiceError) -> Prepared:
    """Check a message and make it ready. Raises what SQS answers for it."""
    if isinstance(checked, ServiceError):
        raise checked
    body = checked.content
    attributes: dict[str, Params] = params.get("MessageAttributes") or {}
    system: dict[str, Params] = params.get("MessageSystemAttributes") or {}
    check_message_attributes(attributes)
    check_system_attributes(system)
    size = size_of(body, attributes)
    if size > queue.message_max_bytes:
        raise invalid_parameter(
            f"One or more parameters are invalid. Reason: Message must be shorter than {queue.message_max_bytes} bytes."
        )
    delay_s = _delay_s(queue, params)
    group, deduplication = _group(queue, params), _deduplication(queue, params, body)
    answer = {"MD5OfMessageBody": checked.md5}
    if attributes:
        answer["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    if system:
        answer["MD5OfMessageSystemAttributes"] = md5_of_attributes(system)
    details = Details(
        ctx.principal.user_id,
        answer["MD5OfMessageBody"],
        attributes,
        system["AWSTraceHeader"]["StringValue"] if system else _trace_header(ctx),
        group,
        deduplication,
    )
    key = deduplication
    if deduplication is not None and queue.attributes.get("DeduplicationScope") == "messageGroup":
        key = f"{group}\n{deduplication}"
    message = NewMessage(
        queue.id.engine_name,
        new_request_id(),
        body,
        details.to_bytes(),
        delay_s,
        group if queue.id.is_fifo else None,
        key,
    )
    return Prepared(message, size, answer)


def _answer(queue: Queue, prepared: Prepared, sent: Sent) -> Params:
    answer = {**prepared.answer, "MessageId": sent.id}
    if queue.id.is_fifo:
        answer["SequenceNumber"] = sequence_number(sent.sequence)
    return answer


def _delay_s(queue: Queue, params: Params) -> int:
    delay_s: int | None = params.get("DelaySeconds")
    if delay_s is None:
        return queue.delay_s
    if not 0 <= delay_s <= DELAY_MAX_S:
        raise invalid_value("DelaySeconds", delay_s, f"DelaySeconds must be >= 0 and <= {DELAY_MAX_S}.")
    if queue.id.is_fifo:
        if delay_s:
            raise invalid_value("DelaySeconds", delay_s, f"{_NOT_FOR_THIS_TYPE}.")
        return queue.delay_s
    return delay_s


def _group(queue: Queue, params: Params) -> str | None:
    group: str | None = params.get("MessageGroupId")
    if not group:
        if queue.id.is_fifo:
            raise missing_parameter("MessageGroupId")
        return None
    check_token("MessageGroupId", group)
    return group


def _deduplication(queue: Queue, params: Params, body: bytes) -> str | None:
    token: str | None = params.get("MessageDeduplicationId")
    if not queue.id.is_fifo:
        if token:
            raise invalid_value("MessageDeduplicationId", token[:200], f"{_NOT_FOR_THIS_TYPE}.")
        return None
    if token:
        check_token("MessageDeduplicationId", token)
        return token
    if queue.attributes.get("ContentBasedDeduplication") != "true":
        raise invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled "
            "or MessageDeduplicationId provided explicitly"
        )
    return hashlib.sha256(body).hexdigest()


def _trace_header(ctx: RequestContext) -> str | None:
    """That of the request (X-Amzn-Trace-Id), which SDKs send along from within a traced function."""
    header = parse_trace_header(ctx.request.headers.get("x-amzn-trace-id"))
    return None if header.root is None else str(header)
