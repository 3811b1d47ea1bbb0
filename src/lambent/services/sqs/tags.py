"""Tags of queues."""

from __future__ import annotations

from collections.abc import Mapping

from lambent.aws.context import Params, RequestContext
from lambent.model.limits import TAGS_MAX
from lambent.services.sqs.directory import Queue, QueueDirectory, replace_queue
from lambent.services.sqs.errors import invalid_parameter, missing_parameter


def check_tags(queue_name: str, tags: Mapping[str, str]) -> None:
    """Raises InvalidParameterValue."""
    if len(tags) > TAGS_MAX:
        raise invalid_parameter(f"Too many tags added for queue {queue_name}.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128:
            raise invalid_parameter("Tag keys must be between 1 and 128 characters in length.")
        if len(value) > 256:
            raise invalid_parameter("Tag values must be between 0 and 256 characters in length.")
        if key.lower().startswith("aws:"):
            raise invalid_parameter("Tag keys that start with aws: are reserved.")


class Tags:
    """The operations on tags."""

    def __init__(self, directory: QueueDirectory) -> None:
        self._directory = directory

    async def tag_queue(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_TagQueue.html"""
        queue = await self._directory.named(ctx, params)
        tags: dict[str, str] | None = params.get("Tags")
        if not tags:
            raise missing_parameter("Tags")

        def add(before: Queue) -> Queue:
            merged = {**before.tags, **tags}
            check_tags(queue.id.name, merged)
            return replace_queue(before, tags=merged)

        await self._directory.change(queue.id, add)
        return {}

    async def untag_queue(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_UntagQueue.html"""
        queue = await self._directory.named(ctx, params)
        keys = params.get("TagKeys")
        if not keys:
            raise missing_parameter("TagKeys")

        def remove(before: Queue) -> Queue:
            return replace_queue(before, tags={key: value for key, value in before.tags.items() if key not in keys})

        await self._directory.change(queue.id, remove)
        return {}

    async def list_queue_tags(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueueTags.html"""
        queue = await self._directory.named(ctx, params)
        return {"Tags": dict(queue.tags)}
