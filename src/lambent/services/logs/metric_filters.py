"""Metric filters: put, describe, delete, test. They are kept with the settings of their log group, and go with it.

`measure_for_ever` is the task beside them: it hands the filters there are to what measures.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogGroupId
from lambent.observability.logs.filter_pattern import parse_filter_pattern
from lambent.observability.logs.metric_filters import (
    InvalidFilterPatternError,
    MetricFilter,
    MetricFilters,
    MetricTransformation,
)
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore
from lambent.services.logs.errors import group_not_found, invalid_parameter
from lambent.services.logs.identifiers import named_group, page_token, parse_page_token
from lambent.services.logs.settings import change_settings
from lambent.store.api import LOG_GROUPS, Store

FILTERS: Final = "metricFilters"
FILTERS_MAX: Final = 100
"""Metric filters for each log group."""

_DIMENSIONS_MAX: Final = 3
_LIMIT: Final = 50


class MetricFilterOperations:
    """The operations on metric filters."""

    def __init__(self, log_store: LogStore, store: Store) -> None:
        self._logs = log_store
        self._store = store

    async def put_metric_filter(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html"""
        group = self._named(ctx, params)
        document = {
            "filterPattern": params["filterPattern"],
            "metricTransformations": params["metricTransformations"],
            "creationTime": self._logs.now_ms(),
        }
        _check(document)
        name = params["filterName"]

        def put(settings: dict[str, Any]) -> None:
            filters = settings.setdefault(FILTERS, {})
            if name not in filters and len(filters) >= FILTERS_MAX:
                raise ServiceError("LimitExceededException", "Resource limit exceeded.")
            filters[name] = document | ({"creationTime": filters[name]["creationTime"]} if name in filters else {})

        await change_settings(self._store, group, put)
        return {}

    async def delete_metric_filter(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteMetricFilter.html"""
        group = self._named(ctx, params)

        def delete(settings: dict[str, Any]) -> None:
            if settings.get(FILTERS, {}).pop(params["filterName"], None) is None:
                raise ServiceError("ResourceNotFoundException", "The specified metric filter does not exist.")

        await change_settings(self._store, group, delete)
        return {}

    async def describe_metric_filters(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeMetricFilters.html"""
        metric = (params.get("metricNamespace"), params.get("metricName"))
        if (metric[0] is None) != (metric[1] is None):
            raise invalid_parameter("metricName and metricNamespace must be given together.")
        after = tuple(parse_page_token(params["nextToken"], str, str)) if "nextToken" in params else ("", "")
        found = []
        for group, filters in await self._filters(ctx, params):
            for name, document in filters.items():
                entry = {"filterName": name, **document, "logGroupName": group.name}
                [transformation] = document["metricTransformations"]
                if not name.startswith(params.get("filterNamePrefix", "")) or (group.name, name) <= after:
                    continue
                if metric in ((None, None), (transformation["metricNamespace"], transformation["metricName"])):
                    found.append(entry)
        found.sort(key=lambda entry: (entry["logGroupName"], entry["filterName"]))
        limit = params.get("limit", _LIMIT)
        answer: Params = {"metricFilters": found[:limit]}
        if len(found) > limit:
            answer["nextToken"] = page_token([found[limit - 1]["logGroupName"], found[limit - 1]["filterName"]])
        return answer

    async def test_metric_filter(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TestMetricFilter.html"""
        try:
            pattern = parse_filter_pattern(params["filterPattern"])
        except InvalidFilterPatternError as error:
            raise invalid_parameter(str(error)) from None
        matches = [
            {"eventNumber": number, "eventMessage": message, "extractedValues": pattern.extract(message)}
            for number, message in enumerate(params["logEventMessages"], 1)
            if pattern.matches(message.encode("utf-8", "replace"))
        ]
        return {"matches": matches}

    async def _filters(self, ctx: RequestContext, params: Params) -> list[tuple[LogGroupId, dict[str, Any]]]:
        if "logGroupName" in params:
            groups = [self._named(ctx, params)]
        else:
            groups = [group.id for group in self._logs.groups(ctx.account, ctx.region)]
        records = [(group, await self._store.get(LOG_GROUPS, group.key)) for group in groups]
        return [(group, record.value.get(FILTERS, {})) for group, record in records if record is not None]

    def _named(self, ctx: RequestContext, params: Params) -> LogGroupId:
        group = named_group(ctx, params["logGroupName"])
        try:
            self._logs.group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None
        return group


async def measure_for_ever(store: Store, active: MetricFilters) -> None:
    """Let every stored filter measure, and every change of them take effect at once; cancel it to end it."""
    changed: asyncio.Queue[str] = asyncio.Queue()
    unwatch = store.watch(LOG_GROUPS, changed.put_nowait)
    try:
        for record in await store.scan(LOG_GROUPS, ""):
            changed.put_nowait(record.key)
        while True:
            key = await changed.get()
            account, region, name = key.split("/", 2)
            stored = await store.get(LOG_GROUPS, key)
            active.set(LogGroupId(AccountId(account), Region(region), name), _ready(stored.value if stored else {}))
    finally:
        unwatch()
        active.close()


def _ready(settings: dict[str, Any]) -> list[MetricFilter]:
    return [_metric_filter(document) for document in settings.get(FILTERS, {}).values()]


def _metric_filter(document: dict[str, Any]) -> MetricFilter:
    [given] = document["metricTransformations"]
    transformation = MetricTransformation(
        given["metricNamespace"],
        given["metricName"],
        given["metricValue"],
        given.get("defaultValue"),
        given.get("unit", "None"),
        given.get("dimensions", {}),
    )
    return MetricFilter(document["filterPattern"], transformation)


def _check(document: dict[str, Any]) -> None:
    """Raises InvalidParameterException for a filter that cannot be."""
    [given] = document["metricTransformations"]
    dimensions = given.get("dimensions", {})
    if dimensions and "defaultValue" in given:
        raise invalid_parameter("Invalid metric transformation: dimensions and default value are mutually exclusive")
    if len(dimensions) > _DIMENSIONS_MAX:
        raise invalid_parameter(f"Invalid metric transformation: more than {_DIMENSIONS_MAX} dimensions")
    if dimensions and not document["filterPattern"].strip().startswith(("{", "[")):
        raise invalid_parameter(
            "Invalid metric transformation: dimensions need a filter pattern of JSON selectors or columns"
        )
    try:
        _metric_filter(document)
        if not given["metricValue"].startswith("$"):
            float(given["metricValue"])
    except InvalidFilterPatternError as error:
        raise invalid_parameter(str(error)) from None
    except ValueError:
        raise invalid_parameter(f"Invalid metric transformation: '{given['metricValue']}' is no number") from None
