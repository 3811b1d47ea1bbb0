"""Log groups: create, delete, describe, retention.

Retention takes effect at once: events past it are no longer returned. Their space on disk is given back when whole
segment files have passed it.
"""

from __future__ import annotations

from typing import Any

from lambent.aws.context import Params, RequestContext
from lambent.observability.logs.events import LogGroupId
from lambent.observability.logs.group import LogGroup
from lambent.observability.logs.store import LogGroupExistsError, LogGroupNotFoundError, LogStore
from lambent.services.logs.errors import already_exists, group_not_found, invalid_parameter, unavailable
from lambent.services.logs.identifiers import named_group, page_token, parse_identifier, parse_page_token
from lambent.services.logs.settings import (
    GroupSettings,
    change_settings,
    forget_settings,
    read_all_settings,
)
from lambent.store.api import Store

_DESCRIBE_LIMIT = 50
_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class LogGroups:
    """The operations on log groups."""

    def __init__(self, log_store: LogStore, store: Store) -> None:
        self._logs = log_store
        self._store = store

    async def create_log_group(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html"""
        name = params["logGroupName"]
        if name.lower().startswith("aws/"):
            raise invalid_parameter("Log groups starting with AWS/ are reserved for AWS.")
        if "kmsKeyId" in params:
            raise invalid_parameter("Lambent does not encrypt log groups: kmsKeyId is not supported")
        if params.get("deletionProtectionEnabled"):
            raise invalid_parameter("Lambent does not support deletionProtectionEnabled")
        log_group_class = params.get("logGroupClass", "STANDARD")
        if log_group_class not in ("STANDARD", "INFREQUENT_ACCESS"):
            raise invalid_parameter(f"Lambent does not support log groups of class {log_group_class}")
        group = named_group(ctx, name)
        try:
            self._logs.create_group(group)
        except LogGroupExistsError:
            raise already_exists("log group") from None
        except OSError as error:
            raise unavailable(error) from error
        settings: dict[str, Any] = {}
        if params.get("tags"):
            settings["tags"] = params["tags"]
        if log_group_class != "STANDARD":
            settings["logGroupClass"] = log_group_class
        if settings:
            await change_settings(self._store, group, lambda document: document.update(settings))
        return {}

    async def delete_log_group(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogGroup.html"""
        group = named_group(ctx, params["logGroupName"])
        self._find(group)
        # Settings first: a group that a function makes anew must not inherit them.
        await forget_settings(self._store, group)
        try:
            await self._logs.delete_group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None
        except OSError as error:
            raise unavailable(error) from error
        return {}

    async def describe_log_groups(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html"""
        prefix, pattern = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
        if prefix is not None and pattern is not None:
            raise invalid_parameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        found = self._logs.groups(ctx.account, ctx.region)
        if "logGroupIdentifiers" in params:
            wanted = {parse_identifier(ctx, identifier) for identifier in params["logGroupIdentifiers"]}
            found = [group for group in found if group.id in wanted]
        found = [g for g in found if g.id.name.startswith(prefix or "") and (pattern or "") in g.id.name]
        settings = await read_all_settings(self._store, f"{ctx.account}/{ctx.region}/")
        entries = [(group, settings.get(group.id.key, GroupSettings(None, {}, "STANDARD"))) for group in found]
        if "logGroupClass" in params:
            entries = [entry for entry in entries if entry[1].log_group_class == params["logGroupClass"]]
        if "nextToken" in params:
            (last,) = parse_page_token(params["nextToken"], str)
            entries = [entry for entry in entries if entry[0].id.name > last]
        limit = params.get("limit", _DESCRIBE_LIMIT)
        answer: Params = {"logGroups": [_described(*entry, brief=bool(pattern)) for entry in entries[:limit]]}
        if len(entries) > limit:
            answer["nextToken"] = page_token([entries[limit - 1][0].id.name])
        return answer

    async def put_retention_policy(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
        days = params["retentionInDays"]
        if days not in _RETENTION_DAYS:
            raise invalid_parameter(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: {sorted(_RETENTION_DAYS)}"
            )
        group = self._find(named_group(ctx, params["logGroupName"])).id
        await change_settings(self._store, group, lambda document: document.update(retentionInDays=days))
        return {}

    async def delete_retention_policy(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteRetentionPolicy.html"""
        group = self._find(named_group(ctx, params["logGroupName"])).id

        def forget(document: dict[str, Any]) -> None:
            document.pop("retentionInDays", None)

        await change_settings(self._store, group, forget)
        return {}

    def _find(self, group: LogGroupId) -> LogGroup:
        try:
            return self._logs.group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None


def _described(group: LogGroup, settings: GroupSettings, *, brief: bool) -> Params:
    entry: Params = {
        "logGroupName": group.id.name,
        "creationTime": group.created_ms,
        "arn": f"{group.id.arn}:*",
    }
    if brief:
        return entry
    if settings.retention_days is not None:
        entry["retentionInDays"] = settings.retention_days
    return entry | {
        "metricFilterCount": settings.metric_filters,
        "storedBytes": group.stored_bytes,
        "logGroupClass": settings.log_group_class,
        "logGroupArn": group.id.arn,
        "deletionProtectionEnabled": False,
    }
