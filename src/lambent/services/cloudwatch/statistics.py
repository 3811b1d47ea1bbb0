"""GetMetricStatistics, and what it shares with GetMetricData: periods and statistics as they are asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lambent.aws.context import Params, RequestContext
from lambent.observability.metrics.database import DAY_S
from lambent.observability.metrics.identity import MetricId, dimensions_from
from lambent.observability.metrics.statistics import SIMPLE, Statistic
from lambent.observability.metrics.store import MetricStore, MetricStoreError
from lambent.services.cloudwatch.errors import invalid_combination, invalid_value, missing, unavailable

_DATAPOINTS_MAX: Final = 1440
_FINE_PERIODS: Final = (1, 5, 10, 20, 30)


class MetricStatistics:
    """The older way of asking for statistics."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    async def get_metric_statistics(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html: a datapoint
        for each period with values, and for each unit they came in."""
        names, extended = params.get("Statistics") or [], params.get("ExtendedStatistics") or []
        if not names and not extended:
            raise missing("Must specify either Statistics or ExtendedStatistics")
        if names and extended:
            raise invalid_combination("The parameters Statistics and ExtendedStatistics are mutually exclusive.")
        period = checked_period(params["Period"])
        start, end = time_range(params["StartTime"], params["EndTime"], period, self._store.now())
        wanted = [parsed_statistic(name) for name in names or extended]
        if (end - start) / period > _DATAPOINTS_MAX:
            raise invalid_combination(
                f"You have requested up to {-(-(end - start) // period)} datapoints, which exceeds the limit of "
                f"{_DATAPOINTS_MAX}. You may reduce the datapoints requested by increasing Period, or decreasing the "
                "time range."
            )
        dimensions = dimensions_from(params.get("Dimensions"))
        metric = MetricId(ctx.account, ctx.region, params["Namespace"], params["MetricName"], dimensions)
        try:
            periods = await self._store.points(metric, period, start, end)
        except MetricStoreError as error:
            raise unavailable(error) from error
        datapoints = []
        for at, unit, values in periods:
            if params.get("Unit", unit) != unit:
                continue
            found = {statistic.name: statistic.of(values) for statistic in wanted}
            told = {name: value for name, value in found.items() if value is not None}
            point: Params = {"Timestamp": at, "Unit": unit}
            if names:
                datapoints.append(point | told)
            elif told:
                datapoints.append(point | {"ExtendedStatistics": told})
        return {"Label": params["MetricName"], "Datapoints": datapoints}


def checked_period(period: int) -> int:
    """A period in seconds. Raises ServiceError."""
    if period not in _FINE_PERIODS and (period < 60 or period % 60):
        raise invalid_value("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    return period


def parsed_statistic(name: str) -> Statistic:
    """Raises ServiceError for what is none."""
    try:
        return Statistic(name)
    except ValueError:
        raise invalid_value(
            f"The value {name[:100]} for parameter Statistic is invalid; it must be one of {', '.join(SIMPLE)}, "
            "a percentile such as p99.9, or a trimmed statistic such as tm90 or TM(10%:90%)."
        ) from None


def time_range(start: datetime, end: datetime, period: int, now_s: float) -> tuple[int, int]:
    """Where the first period begins and the last one ends, in epoch seconds.

    The beginning is rounded down to what is kept of its age, as CloudWatch does: seconds for fine periods, minutes,
    after 15 days five minutes, after 63 days hours. Raises ServiceError.
    """
    start_s, end_s = start.timestamp(), end.timestamp()
    if start_s >= end_s:
        raise invalid_value("The parameter StartTime must be less than the parameter EndTime.")
    age_s = now_s - start_s
    kept_s = 60 if age_s < 15 * DAY_S else 300 if age_s < 63 * DAY_S else 3600
    step = period if period < 60 else kept_s
    first = int(start_s // step * step)
    return max(first, 0), max(-(-int(end_s * 1000) // 1000), 0)
