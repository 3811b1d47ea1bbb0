"""CloudWatch as it registers itself with the request chain: its metrics. Alarms, dashboards, streams are not there."""

from __future__ import annotations

from typing import Final

from lambent.aws.context import Operations
from lambent.aws.service import BodyLimit, ServiceDefinition
from lambent.observability.metrics.store import MetricStore
from lambent.services.cloudwatch.data import MetricData
from lambent.services.cloudwatch.metrics import Metrics
from lambent.services.cloudwatch.statistics import MetricStatistics

_BODY: Final = BodyLimit(1_048_576)  # PutMetricData takes 1 MB, also after it was decompressed


def definition(store: MetricStore) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition("cloudwatch", operations(store), body_limit=_BODY, signing_name="monitoring")


def operations(store: MetricStore) -> Operations:
    """Operation name → handler."""
    metrics = Metrics(store)
    return {
        "PutMetricData": metrics.put_metric_data,
        "ListMetrics": metrics.list_metrics,
        "GetMetricStatistics": MetricStatistics(store).get_metric_statistics,
        "GetMetricData": MetricData(store).get_metric_data,
    }
