"""The operations on queues as a whole: made, found, described, changed, purged, deleted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.model.clock import Clock
from lambent.model.errors import ServiceError
from lambent.queues.api import Queues
from lambent.services.sqs.attributes import ALL, check_attributes, check_together, with_defaults
from lambent.services.sqs.directory import Queue, QueueDirectory, replace_queue
from lambent.services.sqs.errors import (
    invalid_attribute,
    invalid_parameter,
    invalid_value,
    missing_parameter,
    queue_does_not_exist,
)
from lambent.services.sqs.names import QueueId, check_new_name
from lambent.services.sqs.permissions import check_policy
from lambent.services.sqs.redrive import check_redrive_allow_policy, may_redrive_to, parse_redrive_policy
from lambent.services.sqs.tags import check_tags

LISTED_MAX: Final = 1000
_PURGE_EVERY_S: Final = 60


class QueueOperations:
    """See the module's docstring."""

    def __init__(self, directory: QueueDirectory, queues: Queues, clock: Clock) -> None:
        self._directory = directory
        self._queues = queues
        self._clock = clock

    async def create_queue(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""
        name: str | None = params.get("QueueName")
        if name is None:
            raise missing_parameter("QueueName")
        given: dict[str, str] = params.get("Attributes") or {}
        is_fifo = given.get("FifoQueue", "").lower() == "true"
        check_new_name(name, is_fifo)
        queue_id = QueueId(ctx.account, ctx.region, name)
        attributes = await self._checked(queue_id, given)
        tags: dict[str, str] = params.get("tags") or {}
        check_tags(name, tags)
        existing = await self._directory.find(queue_id)
        if existing is None:
            await self._queues.drop(queue_id.engine_name)  # of what a crash may have left of its namesake
            check_together(with_defaults(attributes, is_fifo))
            if not await self._directory.create(queue_id, _without_none(attributes), tags):
                existing = await self._directory.find(queue_id)
        if existing is not None:
            _check_same(existing, attributes)
        return {"QueueUrl": queue_id.url(ctx)}

    async def delete_queue(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html"""
        queue = await self._directory.named(ctx, params)
        await self._directory.remove(queue.id)
        await self._queues.drop(queue.id.engine_name)
        return {}

    async def get_queue_url(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html"""
        name: str | None = params.get("QueueName")
        if name is None:
            raise missing_parameter("QueueName")
        account = params.get("QueueOwnerAWSAccountId") or ctx.account
        queue_id = QueueId(account, ctx.region, name)
        named = {"QueueUrl": queue_id.url(ctx)}
        if "/" in name or await self._directory.find(queue_id) is None:
            raise queue_does_not_exist()
        await self._directory.named(ctx, named, shared_as="GetQueueUrl")
        return named

    async def list_queues(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html"""
        limit, after = _paging(params)
        queues = await self._directory.all_of(ctx, params.get("QueueNamePrefix") or "", after, limit + 1)
        page = {"QueueUrls": [queue.id.url(ctx) for queue in queues[:limit]]}
        return _with_token(page, queues, limit, params)

    async def list_dead_letter_source_queues(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html"""
        queue = await self._directory.named(ctx, params, shared_as="ListDeadLetterSourceQueues")
        limit, after = _paging(params)
        sources = [one for one in await self._directory.all_of(ctx, after=after) if _is_source(one, queue.id)]
        page = {"queueUrls": [source.id.url(ctx) for source in sources[:limit]]}
        return _with_token(page, sources, limit, params)

    async def get_queue_attributes(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""
        queue = await self._directory.named(ctx, params, shared_as="GetQueueAttributes")
        names: list[str] = params.get("AttributeNames") or []
        for name in names:
            if name != "All" and name not in ALL:
                raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name[:100]}.")
        if not names:
            return {}
        everything = await self._everything(queue)
        wanted = everything if "All" in names else set(names)
        return {"Attributes": {name: value for name, value in everything.items() if name in wanted}}

    async def _everything(self, queue: Queue) -> dict[str, str]:
        statistics = await self._queues.statistics(queue.id.engine_name)
        return {
            "QueueArn": queue.id.arn,
            "ApproximateNumberOfMessages": str(statistics.visible),
            "ApproximateNumberOfMessagesNotVisible": str(statistics.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(statistics.delayed),
            "CreatedTimestamp": str(queue.created_s),
            "LastModifiedTimestamp": str(queue.modified_s),
            **with_defaults(queue.attributes, queue.id.is_fifo),
        }

    async def set_queue_attributes(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""
        queue = await self._directory.named(ctx, params)
        given: dict[str, str] = params.get("Attributes") or {}
        if "FifoQueue" in given and (given["FifoQueue"].lower() == "true") != queue.id.is_fifo:
            raise invalid_attribute("FifoQueue", "Modifying queue type is not supported.")
        attributes = await self._checked(queue.id, given)

        def change(before: Queue) -> Mapping[str, str]:
            after = {**before.attributes, **attributes}
            if attributes.get("KmsMasterKeyId") and "SqsManagedSseEnabled" not in attributes:
                after.pop("SqsManagedSseEnabled", None)
            check_together(with_defaults(after, queue.id.is_fifo))
            return _without_none(after)

        await self._directory.set_attributes(queue.id, change)
        return {}

    async def purge_queue(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html"""
        queue = await self._directory.named(ctx, params, shared_as="PurgeQueue")
        now = self._clock.now()

        def purged(before: Queue) -> Queue:
            if now < before.purged_s + _PURGE_EVERY_S:
                raise ServiceError(
                    "PurgeQueueInProgress",
                    f"Only one PurgeQueue operation on {queue.id.name} is allowed every {_PURGE_EVERY_S} seconds.",
                    status=403,
                )
            return replace_queue(before, purged_s=now)

        await self._directory.change(queue.id, purged)
        await self._queues.purge(queue.id.engine_name)
        return {}

    async def _checked(self, queue_id: QueueId, given: Mapping[str, str]) -> dict[str, str]:
        """The given attributes as stored. Raises what is wrong with them."""
        attributes = check_attributes(given, queue_id.is_fifo)
        if attributes.get("Policy"):
            check_policy(attributes["Policy"])
        if attributes.get("RedriveAllowPolicy"):
            check_redrive_allow_policy(attributes["RedriveAllowPolicy"])
        text = attributes.get("RedrivePolicy")
        if text:
            target = await self._directory.find(parse_redrive_policy(text, queue_id).target)
            if target is None:
                raise invalid_value("RedrivePolicy", text, "Dead letter target does not exist.")
            if not may_redrive_to(target.attributes.get("RedriveAllowPolicy"), queue_id):
                reason = "Queue does not have permission to use the dead-letter queue (its RedriveAllowPolicy)."
                raise invalid_value("RedrivePolicy", text, reason)
        return attributes


def _check_same(existing: Queue, attributes: Mapping[str, str]) -> None:
    """A queue may be created again with what it has."""
    current = with_defaults(existing.attributes, existing.id.is_fifo)
    for name, value in attributes.items():
        if current.get(name, "") != value:
            raise ServiceError(
                "QueueNameExists",
                f"A queue already exists with the same name and a different value for attribute {name}",
            )


def _without_none(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value and name != "FifoQueue"}


def _is_source(queue: Queue, target: QueueId) -> bool:
    return queue.redrive is not None and queue.redrive.target == target


def _paging(params: Params) -> tuple[int, str | None]:
    """How many to list, after which name."""
    limit: int | None = params.get("MaxResults")
    if limit is not None and not 1 <= limit <= LISTED_MAX:
        raise invalid_parameter(
            f"Value {limit} for parameter MaxResults is invalid. Reason: Must be between 1 and 1000."
        )
    token: str | None = params.get("NextToken")
    if not token:
        return limit or LISTED_MAX, None
    try:
        return limit or LISTED_MAX, base64.b64decode(token, validate=True).decode()
    except (ValueError, binascii.Error):
        raise invalid_parameter("Invalid or expired next token.") from None


def _with_token(page: dict[str, Any], found: list[Queue], limit: int, params: Params) -> Params:
    """A token only for who set MaxResults, as on AWS."""
    if len(found) > limit and params.get("MaxResults") is not None:
        page["NextToken"] = base64.b64encode(found[limit - 1].id.name.encode()).decode()
    return page
