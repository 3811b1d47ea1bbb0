"""PutMetricData and ListMetrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.observability.metrics.database import DAY_S, HOUR_S, Listed
from lambent.observability.metrics.identity import NO_UNIT, MetricId, dimensions_from
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import OWN_NAMESPACES, MetricStore, MetricStoreError
from lambent.services.cloudwatch.errors import (
    invalid_combination,
    invalid_token,
    invalid_value,
    missing,
    no_room,
    unavailable,
)

_LISTED_FOR_S: Final = 14 * DAY_S
_RECENT_S: Final = 3 * HOUR_S
_PAGE: Final = 500
_OLDEST_S: Final = 14 * DAY_S
_NEWEST_S: Final = 2 * HOUR_S
_LARGEST: Final = 2.0**360
_DATA_MAX: Final = 1000
_VALUES_MAX: Final = 150
_DIMENSIONS_MAX: Final = 30


class Metrics:
    """The operations on metrics as such."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    async def put_metric_data(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html: all of the data, or
        an error and none of it. They are on disk within a minute."""
        namespace = params["Namespace"]
        if namespace.startswith(OWN_NAMESPACES):
            raise invalid_value("The value AWS/ for parameter Namespace is invalid.")
        data = [*(params.get("MetricData") or ())]
        for group in params.get("EntityMetricData") or ():
            data += group.get("MetricData") or ()
        if not data:
            raise missing("The parameter MetricData is required.")
        if len(data) > _DATA_MAX:
            raise invalid_value(f"The collection MetricData must not have a size greater than {_DATA_MAX}.")
        if not self._store.takes_custom:
            raise no_room()
        now_s = self._store.now()
        read = [(datum, _read(datum, f"MetricData.member.{i}", now_s)) for i, datum in enumerate(data, 1)]
        for datum, values in read:
            metric = MetricId(
                ctx.account, ctx.region, namespace, datum["MetricName"], dimensions_from(datum.get("Dimensions"))
            )
            at_s = datum["Timestamp"].timestamp() if "Timestamp" in datum else now_s
            unit = datum.get("Unit", NO_UNIT)
            self._store.put(metric, unit, at_s, values, fine=datum.get("StorageResolution") == 1)
        return {}

    async def list_metrics(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html: metrics with points in
        the last two weeks; in the last three hours, when asked. A page goes on behind the last metric of the one
        before, so that metrics that come or go meanwhile leave none out."""
        if params.get("OwningAccount", ctx.account) != ctx.account:
            return {"Metrics": []}
        age_s = _RECENT_S if params.get("RecentlyActive") == "PT3H" else _LISTED_FOR_S
        try:
            found = await self._store.series(
                ctx.account,
                ctx.region,
                namespace=params.get("Namespace"),
                name=params.get("MetricName"),
                since_s=int(self._store.now()) - age_s,
            )
        except MetricStoreError as error:
            raise unavailable(error) from error
        filters = params.get("Dimensions") or ()
        matching = [one for one in found if all(_has(one.metric, each) for each in filters)]
        matching = _behind(matching, params.get("NextToken"))
        page = matching[:_PAGE]
        answer: Params = {"Metrics": [_shape(one.metric) for one in page]}
        if params.get("IncludeLinkedAccounts"):
            answer["OwningAccounts"] = [ctx.account] * len(page)
        if len(matching) > _PAGE:
            answer["NextToken"] = _token(page[-1])
        return answer


def _read(datum: Mapping[str, Any], where: str, now_s: float) -> StatisticSet:
    """The values of a datum. Raises ServiceError."""
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if not given:
        raise missing(f"At least one of the parameters {where}.Value, {where}.Values or {where}.StatisticValues is "
                      "required.")  # fmt: skip
    if len(given) > 1:
        raise invalid_combination(f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive.")
    _check(datum, where, now_s)
    values = StatisticSet()
    if given == ["Value"]:
        values.add(_finite(datum["Value"], f"{where}.Value"))
    elif given == ["Values"]:
        _add_values(values, datum, where)
    else:
        values = _statistic_set(datum["StatisticValues"], f"{where}.StatisticValues")
    return values


def _check(datum: Mapping[str, Any], where: str, now_s: float) -> None:
    if len(datum.get("Dimensions") or ()) > _DIMENSIONS_MAX:
        raise invalid_value(f"The collection {where}.Dimensions must not have a size greater than {_DIMENSIONS_MAX}.")
    if datum.get("StorageResolution", 60) not in (1, 60):
        raise invalid_value(f"The parameter {where}.StorageResolution must be 1 or 60.")
    if "Timestamp" in datum:
        age_s = now_s - datum["Timestamp"].timestamp()
        if age_s > _OLDEST_S:
            raise invalid_value(f"The parameter {where}.Timestamp must specify a time within the past two weeks.")
        if age_s < -_NEWEST_S:
            raise invalid_value(f"The parameter {where}.Timestamp must specify a time no more than two hours in the "
                                "future.")  # fmt: skip


def _add_values(values: StatisticSet, datum: Mapping[str, Any], where: str) -> None:
    numbers, counts = datum["Values"], datum.get("Counts")
    if not numbers:
        raise missing(f"The parameter {where}.Values must have at least one value.")
    if len(numbers) > _VALUES_MAX:
        raise invalid_value(f"The collection {where}.Values must not have a size greater than {_VALUES_MAX}.")
    if counts is not None and len(counts) != len(numbers):
        raise invalid_value(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    for number, count in zip(numbers, counts or [1.0] * len(numbers), strict=True):
        if _finite(count, f"{where}.Counts") <= 0:
            raise invalid_value(f"The parameter {where}.Counts must be greater than 0.")
        values.add(_finite(number, f"{where}.Values"), count)


def _statistic_set(given: Mapping[str, float], where: str) -> StatisticSet:
    count, total, low, high = (
        _finite(given[name], f"{where}.{name}") for name in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise invalid_value(f"The parameter {where}.SampleCount must be greater than 0.")
    if high < low:
        raise invalid_value(f"The parameter {where}.Maximum must be greater than or equal to {where}.Minimum.")
    if low == high:
        values = StatisticSet()
        values.add(low, count)
        values.total = total
        return values
    return StatisticSet(count, total, low, high, None)


def _finite(number: float, where: str) -> float:
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise invalid_value(f"The value {number} for parameter {where} is invalid.")
    return float(number)


def _has(metric: MetricId, wanted: Mapping[str, str]) -> bool:
    value = wanted.get("Value")
    return any(name == wanted["Name"] and value in (None, held) for name, held in metric.dimensions)


def _order(one: Listed) -> tuple[str, str, str]:
    return one.metric.namespace, one.metric.name, one.metric.dimensions_text


def _token(one: Listed) -> str:
    return str(one.id)


def _behind(found: list[Listed], token: str | None) -> list[Listed]:
    if token is None:
        return found
    for place, one in enumerate(found):
        if _token(one) == token:
            return found[place + 1 :]
    raise invalid_token()


def _shape(metric: MetricId) -> Params:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
    }
