"""The embedded metric format: metrics in log lines, as JSON.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html. A
line that is one JSON object with `_aws.CloudWatchMetrics` is logged like any other, and its values are put. What does
not follow the specification is left out, a metric or a dimension set at a time, and never disturbs the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.observability.logs.events import LogEvent, LogStreamId
from lambent.observability.metrics.identity import NO_UNIT, UNITS, Dimensions, MetricId, dimensions_of
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import MetricStore

_MARK: Final = '"_aws"'
_METRICS_MAX: Final = 100  # of a directive
_VALUES_MAX: Final = 100
_DIMENSIONS_MAX: Final = 30
_LARGEST: Final = 2.0**360
_OLDEST_S: Final = 14 * 86_400
_NEWEST_S: Final = 2 * 3600


@dataclass(frozen=True, slots=True)
class EmbeddedMetric:
    """One metric of one dimension set. `at_s`: epoch seconds."""

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    values: tuple[float, ...]
    at_s: float
    fine: bool


class EmbeddedMetrics:
    """Puts the metrics of log lines into the store."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def take_in(self, stream: LogStreamId, events: Sequence[LogEvent]) -> None:
        """Look through what was just logged. A `logs.store.Tap`."""
        for event in events:
            if _MARK in event.message:
                self._put(stream, event)

    def _put(self, stream: LogStreamId, event: LogEvent) -> None:
        now_s = self._store.now()
        for found in embedded_metrics(event.message):
            if not -_NEWEST_S <= now_s - found.at_s <= _OLDEST_S:
                continue
            values = StatisticSet()
            for value in found.values:
                values.add(value)
            metric = MetricId(stream.account, stream.region, found.namespace, found.name, found.dimensions)
            self._store.put(metric, found.unit, found.at_s, values, fine=found.fine)


def embedded_metrics(message: str) -> Iterator[EmbeddedMetric]:
    """The metrics in a log line; none in what is no such line. Pure."""
    if not message.lstrip().startswith("{"):
        return
    try:
        root = orjson.loads(message)
    except orjson.JSONDecodeError:
        return
    metadata = root.get("_aws")
    if not isinstance(metadata, dict):
        return
    timestamp, directives = metadata.get("Timestamp"), metadata.get("CloudWatchMetrics")
    if (time_ms := _number(timestamp)) is None or not isinstance(directives, list):
        return
    for directive in directives:
        if isinstance(directive, dict):
            yield from _metrics_of(directive, root, time_ms / 1000)


def _metrics_of(directive: Mapping[str, Any], root: Mapping[str, Any], at_s: float) -> Iterator[EmbeddedMetric]:
    namespace = directive.get("Namespace")
    definitions = directive.get("Metrics")
    if not isinstance(namespace, str) or not namespace or namespace.startswith("AWS/"):
        return
    if not isinstance(definitions, list):
        return
    sets = list(_dimension_sets(directive.get("Dimensions"), root))
    for definition in definitions[:_METRICS_MAX]:
        if not isinstance(definition, dict) or not isinstance(name := definition.get("Name"), str):
            continue
        values = _values(root.get(name))
        unit = definition.get("Unit", NO_UNIT)
        if values and unit in UNITS:
            for dimensions in sets:
                fine = definition.get("StorageResolution") == 1
                yield EmbeddedMetric(namespace, name, dimensions, unit, values, at_s, fine)


def _dimension_sets(given: object, root: Mapping[str, Any]) -> Iterator[Dimensions]:
    """Each set whose every dimension is text in the document. No sets at all mean one without dimensions."""
    if not isinstance(given, list) or not given:
        yield ()
        return
    for names in given:
        if not isinstance(names, list) or len(names) > _DIMENSIONS_MAX:
            continue
        if all(isinstance(name, str) and isinstance(root.get(name), str) for name in names):
            yield dimensions_of((name, root[name]) for name in set(names))


def _values(given: object) -> tuple[float, ...]:
    items = given if isinstance(given, list) else [given]
    numbers = [number for item in items[: _VALUES_MAX + 1] if (number := _number(item)) is not None]
    return tuple(numbers) if len(numbers) == len(items) <= _VALUES_MAX else ()


def _number(value: object) -> float | None:
    """A finite number of those CloudWatch takes, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= _LARGEST else None
