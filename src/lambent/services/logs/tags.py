"""Tags of log groups, by ARN and by the older operations that take a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lambent.aws.context import Params, RequestContext
from lambent.model.errors import ServiceError
from lambent.model.limits import TAGS_MAX
from lambent.observability.logs.events import LogGroupId
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore
from lambent.services.logs.errors import group_not_found, invalid_parameter
from lambent.services.logs.identifiers import named_group, resource_group
from lambent.services.logs.settings import change_settings, read_settings
from lambent.store.api import Store


class Tags:
    """The operations on tags."""

    def __init__(self, log_store: LogStore, store: Store) -> None:
        self._logs = log_store
        self._store = store

    async def tag_resource(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html"""
        return await self._tag(resource_group(ctx, params["resourceArn"]), params["tags"])

    async def untag_resource(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_UntagResource.html"""
        return await self._untag(resource_group(ctx, params["resourceArn"]), params["tagKeys"])

    async def list_tags_for_resource(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsForResource.html"""
        return await self._list(resource_group(ctx, params["resourceArn"]))

    async def tag_log_group(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagLogGroup.html"""
        return await self._tag(named_group(ctx, params["logGroupName"]), params["tags"])

    async def untag_log_group(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_UntagLogGroup.html"""
        return await self._untag(named_group(ctx, params["logGroupName"]), params["tags"])

    async def list_tags_log_group(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsLogGroup.html"""
        return await self._list(named_group(ctx, params["logGroupName"]))

    async def _tag(self, group: LogGroupId, tags: dict[str, str]) -> Params:
        self._must_exist(group)

        def add(document: dict[str, Any]) -> None:
            merged = document.get("tags", {}) | tags
            if len(merged) > TAGS_MAX:
                raise ServiceError(
                    "TooManyTagsException", "The maximum number of tags for a resource has been reached."
                )
            document["tags"] = merged

        if any(key.lower().startswith("aws:") for key in tags):
            raise invalid_parameter("Tag keys starting with aws: are reserved for system use")
        await change_settings(self._store, group, add)
        return {}

    async def _untag(self, group: LogGroupId, keys: Sequence[str]) -> Params:
        self._must_exist(group)

        def remove(document: dict[str, Any]) -> None:
            document["tags"] = {key: value for key, value in document.get("tags", {}).items() if key not in keys}

        await change_settings(self._store, group, remove)
        return {}

    async def _list(self, group: LogGroupId) -> Params:
        self._must_exist(group)
        return {"tags": (await read_settings(self._store, group)).tags}

    def _must_exist(self, group: LogGroupId) -> None:
        try:
            self._logs.group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None
