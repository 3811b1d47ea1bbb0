"""Points of the namespace AWS/Lambda, as tallies of a minute become them. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html: under which dimensions a function's are.
"""

from __future__ import annotations

from typing import Final

from lambent.model.arn import FunctionId
from lambent.observability.metrics.database import PointKey
from lambent.observability.metrics.identity import Dimensions, MetricId, dimensions_of
from lambent.observability.metrics.statistics import StatisticSet

NAMESPACE: Final = "AWS/Lambda"


def resource_of(function: FunctionId, qualifier: str | None) -> str:
    """The value of the dimension Resource: what was named."""
    return function.name if qualifier is None else f"{function.name}:{qualifier}"


def dimension_sets(function: FunctionId, qualifier: str | None) -> list[Dimensions]:
    """Everything; the function; what was named."""
    of_function = ("FunctionName", function.name)
    resource = ("Resource", resource_of(function, qualifier))
    return [(), dimensions_of([of_function]), dimensions_of([of_function, resource])]


def add_point(
    points: dict[PointKey, StatisticSet],
    function: FunctionId,
    name: str,
    unit: str,
    dimensions: Dimensions,
    minute: int,
    values: StatisticSet,
) -> None:
    """Take values of a minute (since the epoch) into `points`."""
    key = (MetricId(function.account, function.region, NAMESPACE, name, dimensions), unit, minute * 60, False)
    points.setdefault(key, StatisticSet()).merge(values)
