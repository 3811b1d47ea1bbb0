"""Metric filters' values into the metric store."""

from __future__ import annotations

from lambent.observability.logs.metric_filters import MetricValues
from lambent.observability.metrics.identity import MetricId
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import MetricStore


class MetricStoreSink:
    """Implements `metric_filters.MetricSink`."""

    def __init__(self, metrics: MetricStore) -> None:
        self._metrics = metrics

    def put_metric_values(self, values: MetricValues) -> None:
        """See `metric_filters.MetricSink`."""
        counted = StatisticSet()
        for value in values.values:
            counted.add(value)
        metric = MetricId(values.group.account, values.group.region, values.namespace, values.name, values.dimensions)
        self._metrics.put(metric, values.unit, values.at_s, counted)
