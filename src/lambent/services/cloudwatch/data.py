"""GetMetricData: several metrics and expressions over them in one answer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.observability.metrics.expression_values import Evaluation, Series, Value
from lambent.observability.metrics.expressions import ExpressionError, Node, names_in, parse
from lambent.observability.metrics.identity import MetricId, dimensions_from
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import MetricStore, MetricStoreError
from lambent.services.cloudwatch.errors import invalid_token, unavailable, validation_error
from lambent.services.cloudwatch.statistics import checked_period, parsed_statistic, time_range

_QUERIES_MAX: Final = 500
_DATAPOINTS_MAX: Final = 100_800
_PERIODS_MAX: Final = 400_000  # of one query, looked at: a cost bound
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class _Result:
    id: str
    label: str
    points: list[tuple[int, float]]


class MetricData:
    """The newer way of asking for statistics."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    async def get_metric_data(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html. A page is
        `MaxDatapoints` values, counted over all results; a token says how many were answered before."""
        queries = params["MetricDataQueries"]
        _check(queries)
        if params["StartTime"] >= params["EndTime"]:
            raise validation_error("The parameter StartTime must be less than the parameter EndTime.")
        wanted = _Wanted(self._store, ctx, params)
        try:
            results = await wanted.results(queries)
        except MetricStoreError as error:
            raise unavailable(error) from error
        return _page(results, params)


class _Wanted:
    """One call: its metrics, read, and its expressions, evaluated."""

    def __init__(self, store: MetricStore, ctx: RequestContext, params: Params) -> None:
        self._store = store
        self._ctx = ctx
        self._params = params

    async def results(self, queries: list[Params]) -> list[_Result]:
        metrics: dict[str, Series] = {}
        expressions: dict[str, Node] = {}
        for query in queries:
            if "MetricStat" in query:
                metrics[query["Id"]] = await self._metric(query)
            else:
                expressions[query["Id"]] = _parsed(query)
        values: dict[str, Value] = dict(metrics)
        for name in _in_order(expressions, metrics):
            query = next(query for query in queries if query["Id"] == name)
            values[name] = self._evaluate(query, expressions[name], values, metrics)
        found: list[_Result] = []
        for query in queries:
            if query.get("ReturnData", True):
                found += self._shown(query, values[query["Id"]])
        return found

    async def _metric(self, query: Params) -> Series:
        stat = query["MetricStat"]
        given = stat["Metric"]
        if not given.get("Namespace") or not given.get("MetricName"):
            raise validation_error(f"The metric of {query['Id']} needs a Namespace and a MetricName.")
        period = checked_period(stat["Period"])
        statistic = parsed_statistic(stat["Stat"])
        start, end = self._range(period)
        ctx = self._ctx
        metric = MetricId(
            ctx.account, ctx.region, given["Namespace"], given["MetricName"], dimensions_from(given.get("Dimensions"))
        )
        periods: dict[int, StatisticSet] = {}
        for at, unit, values in await self._store.points(metric, period, start, end):
            if stat.get("Unit", unit) == unit:
                if at in periods:
                    periods[at].merge(values)
                else:
                    periods[at] = values
        read = {at: statistic.of(values) for at, values in periods.items()}
        points = {at: value for at, value in read.items() if value is not None}
        return Series(points, period, query.get("Label") or given["MetricName"])

    def _range(self, period: int) -> tuple[int, int]:
        start, end = time_range(self._params["StartTime"], self._params["EndTime"], period, self._store.now())
        if (end - start) // period > _PERIODS_MAX:
            raise validation_error(f"At most {_PERIODS_MAX} periods may be asked for; use a longer Period.")
        return start, end

    def _evaluate(self, query: Params, node: Node, values: Mapping[str, Value], metrics: Mapping[str, Series]) -> Value:
        period = checked_period(query["Period"]) if "Period" in query else 0
        known = [value for name, value in values.items() if name in names_in(node)] or list(metrics.values())
        period = max([period, *(one.period_s for one in known if isinstance(one, Series))]) or 60
        start, end = self._range(period)
        evaluation = Evaluation(values, metrics, range(start, end, period))
        try:
            return evaluation.value(node)
        except ExpressionError as error:
            raise _wrong(query, error) from error

    def _shown(self, query: Params, value: Value) -> list[_Result]:
        name, label = query["Id"], query.get("Label") or ""
        if isinstance(value, list):
            return [_Result(name, label or one.label, sorted(one.points.items())) for one in value]
        if isinstance(value, float):
            raise validation_error(
                f"Error in expression '{name}': The result of an expression that is returned must be a time series. "
                "Use TIME_SERIES to turn a scalar into one."
            )
        is_metric = "MetricStat" in query
        return [_Result(name, label or (value.label if is_metric else name), sorted(value.points.items()))]


def _check(queries: list[Params]) -> None:
    if not queries or len(queries) > _QUERIES_MAX:
        raise validation_error(f"The collection MetricDataQueries must have 1 to {_QUERIES_MAX} queries.")
    seen: set[str] = set()
    for query in queries:
        name = query["Id"]
        if not _ID.fullmatch(name):
            raise validation_error(f"The value {name[:100]} for parameter Id is not matched by [a-z][a-zA-Z0-9_]*.")
        if name in seen:
            raise validation_error(f"The id {name} in MetricDataQueries is not unique.")
        seen.add(name)
        if ("MetricStat" in query) == ("Expression" in query):
            raise validation_error(f"The query {name} must have either MetricStat or Expression.")
    if not any(query.get("ReturnData", True) for query in queries):
        raise validation_error("At least one query must return data.")


def _parsed(query: Params) -> Node:
    try:
        return parse(query["Expression"])
    except ExpressionError as error:
        raise _wrong(query, error) from error


def _wrong(query: Params, error: ExpressionError) -> Exception:
    return validation_error(f"Error in expression '{query['Id']}': {error}")


def _in_order(expressions: Mapping[str, Node], metrics: Mapping[str, Any]) -> list[str]:
    """Expressions after those they name. Raises ServiceError for what goes in a circle."""
    ordered: list[str] = []
    waiting = dict(expressions)
    while waiting:
        ready = [name for name, node in waiting.items() if not names_in(node) & waiting.keys()]
        if not ready:
            raise validation_error(f"The expressions {', '.join(waiting)} need each other.")
        for name in ready:
            ordered.append(name)
            del waiting[name]
    return ordered


def _page(results: list[_Result], params: Params) -> Params:
    newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    skip = _parse_token(params.get("NextToken"))
    room = max(1, min(params.get("MaxDatapoints") or _DATAPOINTS_MAX, _DATAPOINTS_MAX))
    shown: list[Params] = []
    answered = skip
    for result in results:
        points = result.points[::-1] if newest_first else result.points
        if skip and skip >= len(points):
            skip -= len(points)
            continue
        here = points[skip : skip + room]
        is_complete = skip + len(here) == len(points)
        if here or not points:
            shown.append(_shape(result, here, is_complete=is_complete))
        answered += len(here)
        room -= len(here)
        skip = 0
    answer: Params = {"MetricDataResults": shown, "Messages": []}
    if answered < sum(len(result.points) for result in results):
        answer["NextToken"] = base64.b64encode(f"v1:{answered}".encode()).decode()
    return answer


def _shape(result: _Result, points: list[tuple[int, float]], *, is_complete: bool) -> Params:
    return {
        "Id": result.id,
        "Label": result.label,
        "Timestamps": [at for at, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete" if is_complete else "PartialData",
    }


def _parse_token(token: str | None) -> int:
    if token is None:
        return 0
    try:
        version, number = base64.b64decode(token, validate=True).decode().split(":")
        if version != "v1" or not number.isdecimal():
            raise ValueError(token)
        return int(number)
    except (binascii.Error, ValueError):
        raise invalid_token() from None
